use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::join_all;
use tokio::sync::Notify;

use super::*;
use crate::auth::PresentedToken;
use tidegate_domain::{
    caller::{Identity, Role},
    fixtures::id,
    time::Timestamp,
};

const KEY: Key = [1; 32];

fn verified(life: Duration) -> Arc<VerifiedToken> {
    let now = Instant::now();
    Arc::new(VerifiedToken {
        presented: Arc::new(PresentedToken {
            key: KEY,
            id: "a".to_owned(),
            digest: vec![1; 32],
        }),
        identity: Identity {
            credential_uuid: id(1),
            role: Role::Viewer,
            connection_uuid: None,
            acts_for_others: false,
            session_code: String::new(),
        },
        requests_per_minute: None,
        checked_at: Timestamp::from_micros(0),
        checked: now,
        ends: now + life,
    })
}

/// A database that counts its questions and answers them all alike.
struct Source {
    asked: AtomicU32,
    may_answer: Notify,
}

impl Source {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            asked: AtomicU32::new(0),
            may_answer: Notify::new(),
        })
    }

    fn answer(self: &Arc<Self>, found: Found) -> BoxFuture<'static, Found> {
        let source = Arc::clone(self);
        async move {
            source.asked.fetch_add(1, Ordering::SeqCst);
            source.may_answer.notified().await;
            found
        }
        .boxed()
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn ask(cache: &Arc<Cache>, source: &Arc<Source>, found: Found) -> Found {
    source.may_answer.notify_one();
    cache.check(KEY, || source.answer(found)).await
}

const YEAR: Duration = Duration::from_secs(366 * 24 * 3_600);

#[tokio::test(start_paused = true)]
async fn a_crowd_asks_once_whatever_the_answer() {
    for found in [Ok(verified(YEAR)), Err(AuthFailure::Unknown)] {
        let (cache, source) = (Arc::<Cache>::default(), Source::new());
        let crowd = (0..100).map(|_| cache.check(KEY, || source.answer(found.clone())));
        let answered = async {
            tokio::task::yield_now().await;
            source.may_answer.notify_one();
        };
        let (answers, ()) = tokio::join!(join_all(crowd), answered);
        assert!(answers.iter().all(|it| it.is_ok() == found.is_ok()));
        assert_eq!(source.asked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_token_is_believed_for_a_second_and_no_longer_than_it_lives() {
    for (life, believed) in [(YEAR, FRESH), (FRESH / 2, FRESH / 2)] {
        let (cache, source) = (Arc::<Cache>::default(), Source::new());
        ask(&cache, &source, Ok(verified(life)))
            .await
            .expect("it is good");
        tokio::time::advance(believed - Duration::from_millis(1)).await;
        assert!(matches!(cache.hit(&KEY), CacheHit::Fresh(_)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(matches!(cache.hit(&KEY), CacheHit::Stale));
        ask(&cache, &source, Err(AuthFailure::Unknown))
            .await
            .expect_err("over");
        assert_eq!(source.asked(), 2);
        assert!(matches!(cache.hit(&KEY), CacheHit::Miss));
        assert!(cache.slots().by_key.is_empty(), "a bad token is not kept");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_to_be_forgotten_is_asked_again_and_not_joined() {
    let (cache, source) = (Arc::<Cache>::default(), Source::new());
    let early = tokio::spawn({
        let (cache, source) = (Arc::clone(&cache), Arc::clone(&source));
        async move { cache.check(KEY, || source.answer(Ok(verified(YEAR)))).await }
    });
    while source.asked() == 0 {
        tokio::task::yield_now().await;
    }
    cache.forget();
    let late = tokio::spawn({
        let (cache, source) = (Arc::clone(&cache), Arc::clone(&source));
        async move {
            cache
                .check(KEY, || source.answer(Err(AuthFailure::Unknown)))
                .await
        }
    });
    while source.asked() == 1 {
        tokio::task::yield_now().await;
    }
    source.may_answer.notify_waiters();
    early.await.expect("no panic").expect("it asked before");
    late.await.expect("no panic").expect_err("it asked after");
    assert!(!matches!(cache.hit(&KEY), CacheHit::Fresh(_)));
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_away_takes_no_good_name() {
    let (cache, source) = (Arc::<Cache>::default(), Source::new());
    ask(&cache, &source, Ok(verified(YEAR)))
        .await
        .expect("good");
    tokio::time::advance(FRESH).await;
    let away = Err(AuthFailure::Failed(Error::ShuttingDown));
    ask(&cache, &source, away).await.expect_err("it is away");
    assert!(matches!(cache.hit(&KEY), CacheHit::Stale));
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_away_leaves_the_check_running() {
    let (cache, source) = (Arc::<Cache>::default(), Source::new());
    let check = cache.check(KEY, || source.answer(Ok(verified(YEAR))));
    let gone = tokio::time::timeout(Duration::from_millis(1), check).await;
    assert!(gone.is_err(), "nobody has answered yet");
    source.may_answer.notify_one();
    while !matches!(cache.hit(&KEY), CacheHit::Fresh(_)) {
        tokio::task::yield_now().await;
    }
    assert_eq!(source.asked(), 1);
}

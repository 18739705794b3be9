//! Where the servers of a test keep their ledger: an SQLite file, or a PostgreSQL database of the test's own.
//!
//! `TIDEGATE_TEST_DATABASE` chooses for the whole run, so that the same tests prove the same promises on both.
//! `TIDEGATE_TEST_POSTGRES` says where a PostgreSQL is that the tests may create databases in: see `scripts/postgres`.

use std::{
    env::{self, VarError},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sea_orm::{ConnectOptions, ConnectionTrait as _, DatabaseConnection, DbErr};
use sea_orm_migration::MigratorTrait as _;
use tempfile::TempDir;
use tidegate_migration::Migrator;
use tokio::sync::OnceCell;
use url::Url;

use crate::relay::Relay;

/// The PostgreSQL database that those of the tests are copied from: the schema, and no rows.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// What a run of the tests keeps its ledgers in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, which belongs to one server at a time.
    Sqlite,
    /// A server that any number of replicas share.
    Postgres,
}

/// What this run keeps its ledgers in.
///
/// # Panics
/// When `TIDEGATE_TEST_DATABASE` is neither `sqlite` nor `postgres`.
pub fn kind() -> Kind {
    match env::var("TIDEGATE_TEST_DATABASE").as_deref() {
        Ok("sqlite") | Err(VarError::NotPresent) => Kind::Sqlite,
        Ok("postgres") => Kind::Postgres,
        other => panic!("TIDEGATE_TEST_DATABASE is sqlite or postgres, not {other:?}"),
    }
}

/// A database. Cheap to clone; deleted with the last clone, whoever is still connected.
#[derive(Clone, Debug)]
pub struct Database {
    url: String,
    place: Arc<Place>,
}

#[derive(Debug)]
enum Place {
    /// A file, and the folder to delete with it, if it is ours.
    Sqlite {
        path: PathBuf,
        _folder: Option<TempDir>,
    },
    /// A database on the PostgreSQL at `server`.
    Postgres { server: Url, name: String },
}

impl Database {
    /// A database without rows. On PostgreSQL the schema is there; an SQLite file is made by the first server.
    ///
    /// # Panics
    /// When it cannot be created.
    pub async fn fresh() -> Self {
        match kind() {
            Kind::Sqlite => Self::new_file(),
            Kind::Postgres => {
                let template = TEMPLATE.get_or_init(template).await;
                Self::create(server(), &format!("TEMPLATE {template}")).await
            }
        }
    }

    /// A database that no server has seen yet: it has no schema.
    ///
    /// # Panics
    /// When it cannot be created.
    pub async fn empty() -> Self {
        match kind() {
            Kind::Sqlite => Self::new_file(),
            Kind::Postgres => Self::create(server(), "").await,
        }
    }

    /// A database without a schema on the PostgreSQL at `server`, such as a [`Cluster`](crate::cluster::Cluster).
    ///
    /// # Panics
    /// When it cannot be created.
    pub async fn on(server: &str) -> Self {
        Self::on_with(server, "").await
    }

    /// As [`on`](Self::on), created with options such as `ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`.
    ///
    /// # Panics
    /// When it cannot be created.
    pub async fn on_with(server: &str, options: &str) -> Self {
        Self::create(Url::parse(server).expect("a URL"), options).await
    }

    /// The same database by way of a relay to its server.
    ///
    /// # Panics
    /// When it is a file.
    #[must_use]
    pub fn through(&self, relay: &Relay) -> Self {
        let mut url = Url::parse(&self.url).expect("a URL");
        let way = Url::parse(&relay.address).expect("the address is a URL");
        url.set_port(way.port()).expect("a database on a server");
        self.at(url.as_str())
    }

    /// A database of another encoding, which no server takes.
    ///
    /// # Panics
    /// When it cannot be created.
    pub async fn latin1() -> Self {
        Self::create(server(), "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0").await
    }

    /// The SQLite file at `path`, which is left to its folder's owner.
    pub fn file(path: &Path) -> Self {
        Self::sqlite(path.to_owned(), None)
    }

    /// An SQLite file that no server has made yet, in a folder of its own.
    ///
    /// # Panics
    /// When there is no place for it.
    pub fn new_file() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::sqlite(folder.path().join("tidegate.db"), Some(folder))
    }

    fn sqlite(path: PathBuf, folder: Option<TempDir>) -> Self {
        Self {
            url: format!("sqlite://{}?mode=rwc", path.display()),
            place: Arc::new(Place::Sqlite {
                path,
                _folder: folder,
            }),
        }
    }

    async fn create(server: Url, options: &str) -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(1);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidegate_{}_{number}", std::process::id());
        recreate(&server, &name, options)
            .await
            .expect("a database can be created");
        Self {
            url: named(&server, &name).into(),
            place: Arc::new(Place::Postgres { server, name }),
        }
    }

    /// The same database by another URL: as somebody else, or by way of a relay.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            place: Arc::clone(&self.place),
        }
    }

    /// What the server is told as `--database-url`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether any number of servers may serve it at once.
    pub fn is_shared(&self) -> bool {
        matches!(*self.place, Place::Postgres { .. })
    }

    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &*self.place {
            Place::Sqlite { path, .. } => Some(path),
            Place::Postgres { .. } => None,
        }
    }

    /// The name of the database on its server, if it is on one.
    pub fn name(&self) -> Option<&str> {
        match &*self.place {
            Place::Sqlite { .. } => None,
            Place::Postgres { name, .. } => Some(name),
        }
    }

    /// A way past the servers, to look at what is stored or to damage it.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn connect(&self) -> DatabaseConnection {
        connect(&self.url).await.expect("the database opens")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self::Postgres { server, name } = self else {
            return;
        };
        let (server, sql) = (server.clone(), dropping(name));
        // The runtime of the test may be on its way out, and cannot be waited for in its own thread.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| DbErr::Custom(error.to_string()))?;
            runtime.block_on(run(&server, &[sql]))
        });
        if let Ok(Err(error)) = dropped.join() {
            // A test may have stopped its PostgreSQL.
            eprintln!("{name} is left behind: {error}");
        }
    }
}

/// The PostgreSQL that the tests may create databases in.
///
/// # Panics
/// When the run does not say where it is.
pub fn server() -> Url {
    let url = env::var("TIDEGATE_TEST_POSTGRES").expect(
        "TIDEGATE_TEST_POSTGRES is the URL that scripts/postgres prints; scripts/test does it all",
    );
    Url::parse(&url).expect("TIDEGATE_TEST_POSTGRES is a URL")
}

fn named(server: &Url, name: &str) -> Url {
    let mut url = server.clone();
    url.set_path(name);
    url
}

async fn template() -> String {
    let (server, name) = (
        server(),
        format!("tidegate_template_{}", std::process::id()),
    );
    let made = async {
        recreate(&server, &name, "").await?;
        let pool = connect(named(&server, &name).as_str()).await?;
        Migrator::up(&pool, None).await?;
        // A database with connections cannot be copied.
        pool.close().await
    };
    made.await.expect("the template can be made");
    name
}

fn dropping(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}

/// Process ids come again: what an earlier run left under the name goes first.
async fn recreate(server: &Url, name: &str, options: &str) -> Result<(), DbErr> {
    let create = format!("CREATE DATABASE {name} {options}");
    run(server, &[dropping(name), create]).await
}

async fn run(server: &Url, statements: &[String]) -> Result<(), DbErr> {
    let pool = connect(server.as_str()).await?;
    for statement in statements {
        pool.execute_unprepared(statement).await?;
    }
    pool.close().await
}

async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    sea_orm::Database::connect(options).await
}

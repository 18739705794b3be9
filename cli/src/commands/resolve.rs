//! From what people call things to their ids, by the server's lists.

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use tidegate_client::{Client, Error, TransferFilter};
use uuid::Uuid;

use crate::args::{FilterArgs, SHORTEST_PART, Which};
use crate::failure::Failure;
use crate::output::note;
use crate::text;

/// So many of the newest are looked through for a part of an id or for a name.
const NEWEST: usize = 5_000;
const PAGE: u32 = 1_000;
/// So many of those that may be meant are told.
const TOLD: usize = 10;

/// What may be meant.
struct Candidate {
    uuid: Uuid,
    name: Option<String>,
    /// What tells it from the others.
    about: String,
}

/// The one transfer that is meant.
pub(super) async fn transfer(client: &Client, which: Which) -> Result<Uuid, Failure> {
    only(transfers(client, &[which]).await?)
}

/// The transfers that are meant, each or why there is none; at the cost of one look through the list.
pub(super) async fn transfers(
    client: &Client,
    which: &[Which],
) -> Result<Vec<Result<Uuid, Failure>>, Failure> {
    let items = client.transfers().list().page_size(PAGE).items();
    let candidates = items.map_ok(|transfer| Candidate {
        uuid: transfer.uuid,
        name: None,
        about: format!("{} {}", transfer.status, transfer.table_name),
    });
    find("transfer", which, candidates).await
}

/// The one connection that is meant.
pub(super) async fn connection(client: &Client, which: Which) -> Result<Uuid, Failure> {
    let items = client.connections().list().page_size(PAGE).items();
    let candidates = items.map_ok(|connection| Candidate {
        uuid: connection.uuid,
        about: format!("{} {}", connection.status, connection.name),
        name: Some(connection.name),
    });
    only(find("connection", &[which], candidates).await?)
}

/// The connection that is meant, where one is named.
pub(super) async fn any_connection(
    client: &Client,
    which: Option<Which>,
) -> Result<Option<Uuid>, Failure> {
    match which {
        Some(which) => connection(client, which).await.map(Some),
        None => Ok(None),
    }
}

/// The transfer that is meant, where one is named.
pub(super) async fn any_transfer(
    client: &Client,
    which: Option<Which>,
) -> Result<Option<Uuid>, Failure> {
    match which {
        Some(which) => transfer(client, which).await.map(Some),
        None => Ok(None),
    }
}

/// The one credential that is meant.
pub(super) async fn credential(client: &Client, which: Which) -> Result<Uuid, Failure> {
    let items = client.credentials().list().page_size(PAGE).items();
    let candidates = items.map_ok(|credential| Candidate {
        uuid: credential.uuid,
        about: format!("{} {}", credential.role, credential.name),
        name: Some(credential.name),
    });
    only(find("credential", &[which], candidates).await?)
}

/// The one agent that is meant.
pub(super) async fn agent(client: &Client, which: Which) -> Result<Uuid, Failure> {
    let items = client.agents().list().page_size(PAGE).items();
    let candidates = items.map_ok(|agent| Candidate {
        uuid: agent.uuid,
        about: format!("{} {}", agent.state, agent.agent_instance),
        name: Some(agent.agent_instance),
    });
    only(find("agent", &[which], candidates).await?)
}

/// The filter that is meant.
pub(super) async fn filter(client: &Client, args: FilterArgs) -> Result<TransferFilter, Failure> {
    let connection = any_connection(client, args.connection.clone()).await?;
    Ok(args.to_filter(connection))
}

fn only(found: Vec<Result<Uuid, Failure>>) -> Result<Uuid, Failure> {
    let nothing = || Failure::Usage("nothing is named".to_owned());
    found.into_iter().next().ok_or_else(nothing)?
}

async fn find(
    kind: &'static str,
    which: &[Which],
    candidates: impl Stream<Item = Result<Candidate, Error>> + Unpin,
) -> Result<Vec<Result<Uuid, Failure>>, Failure> {
    let mut searches: Vec<Search> = which.iter().map(Search::new).collect();
    let has_to_look = searches.iter().any(|search| search.said.is_some());
    let mut is_cut = false;
    if has_to_look {
        let mut seen = 0;
        let mut candidates = candidates;
        while let Some(candidate) = candidates.next().await {
            if seen == NEWEST {
                is_cut = true;
                break;
            }
            let candidate = candidate?;
            for search in &mut searches {
                search.look_at(&candidate);
            }
            seen += 1;
        }
    }
    Ok(searches
        .into_iter()
        .map(|search| search.outcome(kind, is_cut))
        .collect())
}

/// What was found so far for one thing that is named.
struct Search<'a> {
    which: &'a Which,
    /// What has to be looked for.
    said: Option<&'a str>,
    by_name: Vec<(Uuid, String)>,
    by_part: Vec<(Uuid, String)>,
}

impl<'a> Search<'a> {
    fn new(which: &'a Which) -> Self {
        let said = match which {
            Which::Said(text) => Some(text.as_str()),
            Which::Id(_) => None,
        };
        Self {
            which,
            said,
            by_name: Vec::new(),
            by_part: Vec::new(),
        }
    }

    fn look_at(&mut self, candidate: &Candidate) {
        let Some(said) = self.said else {
            return;
        };
        let found = || (candidate.uuid, candidate.about.clone());
        let part = said.to_ascii_lowercase();
        let has_part = |id: String| part.len() >= SHORTEST_PART && id.contains(&part);
        if candidate.name.as_deref() == Some(said) {
            self.by_name.push(found());
        } else if has_part(candidate.uuid.to_string())
            || has_part(candidate.uuid.simple().to_string())
        {
            self.by_part.push(found());
        }
    }

    /// A name is meant before a part of an id.
    fn outcome(self, kind: &str, is_cut: bool) -> Result<Uuid, Failure> {
        let Some(said) = self.said else {
            return match self.which {
                Which::Id(uuid) => Ok(*uuid),
                Which::Said(text) => Err(Failure::Usage(text.clone())),
            };
        };
        let found = if self.by_name.is_empty() {
            self.by_part
        } else {
            self.by_name
        };
        let among = if is_cut {
            format!(" among the newest {}", text::count(NEWEST as i64))
        } else {
            String::new()
        };
        match found.as_slice() {
            [] if is_cut => Err(Failure::NotFound(format!(
                "no {kind}{among} is called {said:?}; older ones need their whole id"
            ))),
            [] => Err(Failure::NotFound(format!(
                "no {kind} is called {said:?}; tidegate {kind} list shows those that there are"
            ))),
            [(uuid, _)] => {
                if is_cut {
                    note(&format!(
                        "{said} is {kind} {uuid}, the only such one{among}"
                    ));
                }
                Ok(*uuid)
            }
            _ => {
                let lines = found.iter().take(TOLD);
                let mut lines: Vec<String> = lines
                    .map(|(uuid, about)| format!("{uuid}  {about}"))
                    .collect();
                if found.len() > TOLD {
                    lines.push(format!("and {} more", found.len() - TOLD));
                }
                let what = format!("{} {kind}s{among} are called {said:?}", found.len());
                Err(Failure::Ambiguous(what, lines))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, stream};

    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn found(said: &str, names: &[&str]) -> Result<Uuid, Failure> {
        let candidate = |(index, name): (usize, &&str)| {
            Ok(Candidate {
                uuid: id(0x00ab_cdef_0000_0000_0000_0000 + index as u128),
                name: Some((*name).to_owned()),
                about: String::new(),
            })
        };
        let candidates: Vec<_> = names.iter().enumerate().map(candidate).collect();
        let which = Which::Said(said.to_owned());
        let found = async { only(find("site", &[which], stream::iter(candidates)).await?) };
        found.now_or_never().expect("it has nothing to wait for")
    }

    #[test]
    fn a_name_is_meant_before_a_part_of_an_id() {
        let first = id(0x00ab_cdef_0000_0000_0000_0000);
        let second = id(0x00ab_cdef_0000_0000_0000_0001);
        assert!(matches!(found("north", &["north", "south"]), Ok(uuid) if uuid == first));
        assert!(matches!(found("ABCDEF", &["north"]), Ok(uuid) if uuid == first));
        assert!(matches!(found("abcdef", &["north", "abcdef"]), Ok(uuid) if uuid == second));
        // Too short for a part.
        assert!(matches!(
            found("bcdef", &["north"]),
            Err(Failure::NotFound(_))
        ));
    }

    #[test]
    fn what_is_not_the_only_one_is_refused_with_the_others() {
        let refused = found("north", &["north", "north"]).unwrap_err();
        assert_eq!((refused.exit_code(), refused.lines().len()), (2, 3));
        let refused = found("abcdef", &["a"; 20]).unwrap_err();
        assert_eq!(refused.lines().len(), 12);
        assert!(refused.lines()[11].contains("and 10 more"));
    }

    #[test]
    fn what_was_not_looked_through_is_said() {
        let many = vec!["x"; NEWEST + 1];
        let refused = found("north", &many).unwrap_err();
        assert!(refused.lines()[0].contains("among the newest 5,000"));
        let mut many = many;
        many[0] = "north";
        assert!(found("north", &many).is_ok());
    }
}

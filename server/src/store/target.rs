//! What a database URL means.

use std::path::PathBuf;

use sea_orm::sqlx::sqlite::SqliteConnectOptions;

use super::error::OpenError;

/// Where the ledger is kept. Not `Debug`, since a URL may hold a password.
pub(super) enum Target {
    Sqlite {
        /// As the URL says it.
        path: PathBuf,
        /// Whether a file that is missing is created.
        create: bool,
    },
    Postgres {
        url: String,
        /// Host and database, for messages.
        name: String,
    },
}

pub(super) fn parse(url: &str) -> Result<Target, OpenError> {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    match scheme {
        "sqlite" => sqlite(url, rest),
        "postgres" | "postgresql" => postgres(url),
        _ => Err(unsupported(
            &shown(scheme),
            "must begin with sqlite:// or postgres://",
        )),
    }
}

fn sqlite(url: &str, rest: &str) -> Result<Target, OpenError> {
    let (database, query) = rest.split_once('?').unwrap_or((rest, ""));
    let database = database.strip_prefix("//").unwrap_or(database);
    let mut create = false;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter {
            "mode=rwc" => create = true,
            "mode=rw" => create = false,
            "mode=ro" => return Err(unsupported(url, "mode=ro cannot be written")),
            "mode=memory" => return Err(in_memory(url)),
            _ => {
                let problem = format!("{parameter} is not supported; mode=rwc and mode=rw are");
                return Err(unsupported(url, problem));
            }
        }
    }
    if database.contains(":memory:") {
        return Err(in_memory(url));
    }
    if database.is_empty() {
        return Err(unsupported(url, "names no file"));
    }
    // The driver's own reading of the name, so that escapes mean what they mean elsewhere.
    let parsed = format!("sqlite://{database}").parse::<SqliteConnectOptions>();
    let options = parsed.map_err(|error| unsupported(url, error.to_string()))?;
    Ok(Target::Sqlite {
        path: options.get_filename().to_owned(),
        create,
    })
}

fn postgres(url: &str) -> Result<Target, OpenError> {
    let parsed =
        url::Url::parse(url).map_err(|error| unsupported("postgres://…", error.to_string()))?;
    let host = parsed.host_str().unwrap_or("localhost");
    let name = format!("postgres://{host}{}", parsed.path());
    Ok(Target::Postgres {
        url: url.to_owned(),
        name,
    })
}

/// What can be repeated of a URL of unknown form, which may hold a password anywhere.
fn shown(scheme: &str) -> String {
    let plain = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric());
    if plain {
        format!("{scheme}:…")
    } else {
        "…".to_owned()
    }
}

fn in_memory(url: &str) -> OpenError {
    unsupported(
        url,
        "a database in memory would lose what was promised to be kept; name a file",
    )
}

fn unsupported(url: &str, problem: impl Into<String>) -> OpenError {
    OpenError::UnsupportedUrl {
        url: url.to_owned(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn files_are_taken_in_every_common_form() {
        for (url, path, create) in [
            ("sqlite://tidegate.db?mode=rwc", "tidegate.db", true),
            ("sqlite://tidegate.db", "tidegate.db", false),
            ("sqlite:data/t.db?mode=rw", "data/t.db", false),
            ("sqlite:///var/lib/t.db?mode=rwc", "/var/lib/t.db", true),
            ("sqlite:///a%20b%3Fc.db", "/a b?c.db", false),
        ] {
            let Ok(Target::Sqlite {
                path: found,
                create: creates,
            }) = parse(url)
            else {
                unreachable!("{url}")
            };
            assert_eq!(
                (found.as_path(), creates),
                (Path::new(path), create),
                "{url}"
            );
        }
    }

    #[test]
    fn what_cannot_keep_a_promise_is_refused() {
        for (url, word) in [
            ("sqlite::memory:", "memory"),
            ("sqlite://:memory:", "memory"),
            ("sqlite://x.db?mode=memory", "memory"),
            ("sqlite://x.db?mode=ro", "cannot be written"),
            ("sqlite://x.db?mode=rwc&cache=shared", "cache=shared"),
            ("sqlite://x.db?immutable=1", "immutable"),
            ("sqlite://", "names no file"),
            ("mysql://root:secret@localhost/x", "sqlite://"),
            ("tidegate.db", "sqlite://"),
            ("", "sqlite://"),
        ] {
            let line = parse(url).err().expect(url).to_string();
            assert!(line.contains(word), "{url}: {line}");
            assert!(!line.contains("secret") && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn passwords_stay_out_of_names() {
        let target = parse("postgres://tidegate:secret@db.example:5433/ledger");
        let Ok(Target::Postgres { name, .. }) = target else {
            unreachable!("it is PostgreSQL")
        };
        assert_eq!(name, "postgres://db.example/ledger");
    }
}

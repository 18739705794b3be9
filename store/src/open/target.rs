//! What a database URL means.

use std::path::PathBuf;

use sea_orm::sqlx::sqlite::SqliteConnectOptions;

use crate::error::OpenError;

/// Where the ledger is kept. Not `Debug`, since a URL may hold a password.
pub(crate) enum Target {
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

pub(crate) fn parse(url: &str) -> Result<Target, OpenError> {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    match scheme {
        "sqlite" => sqlite(url, rest),
        "postgres" | "postgresql" => postgres(url),
        _ => Err(unsupported(
            &shown(scheme, rest),
            "must begin with sqlite:// or postgres://",
        )),
    }
}

fn sqlite(url: &str, rest: &str) -> Result<Target, OpenError> {
    let (database, query) = rest.split_once('?').unwrap_or((rest, ""));
    let slashes = if rest.starts_with("//") { "//" } else { "" };
    let database = database.strip_prefix("//").unwrap_or(database);
    // Somebody may have put the URL of a server here.
    let url = &match database.rsplit_once('@') {
        Some((_, after)) => format!("sqlite:{slashes}…@{after}"),
        None if query.is_empty() => url.to_owned(),
        None => format!("sqlite:{slashes}{database}?{}", names(query)),
    };
    let mut create = false;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter {
            "mode=rwc" => create = true,
            "mode=rw" => create = false,
            "mode=ro" => return Err(unsupported(url, "mode=ro cannot be written")),
            "mode=memory" => return Err(in_memory(url)),
            _ => {
                let name = names(parameter);
                let problem = format!("{name} is not supported; mode=rwc and mode=rw are");
                return Err(unsupported(url, problem));
            }
        }
    }
    if database.contains(":memory:") {
        return Err(in_memory(url));
    }
    let is_server = database
        .rsplit_once('@')
        .is_some_and(|(before, _)| before.contains(':') && !before.starts_with('/'));
    if is_server {
        return Err(unsupported(url, "is no file; postgres:// is for servers"));
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

/// The parameters of a query without their values, unless these are known to be harmless.
fn names(query: &str) -> String {
    let parameters = query.split('&').map(|parameter| {
        let name = parameter.split('=').next().unwrap_or_default();
        let harmless = ["mode", "cache", "immutable"].contains(&name);
        if harmless || name == parameter {
            parameter.to_owned()
        } else {
            format!("{name}=…")
        }
    });
    parameters.collect::<Vec<_>>().join("&")
}

/// Parameters that the driver knows. It would log others with their values.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// What a URL says that was cut off in the midst of its password.
const UNESCAPED: &str = "a password in it must be percent-encoded: %2F for /, %3F for ?, %23 for #, %40 for @, %3A for :";

fn postgres(url: &str) -> Result<Target, OpenError> {
    const HIDDEN: &str = "postgres://…";
    // What the parser says quotes nothing, but only the URL as a whole shows where a password ends.
    let parsed = url::Url::parse(url)
        .map_err(|error| unsupported(HIDDEN, format!("{error}; {UNESCAPED}")))?;
    let (_, authority) = url
        .split_once("://")
        .ok_or_else(|| unsupported(HIDDEN, "must begin with postgres://"))?;
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let cut = parsed.fragment().is_some()
        || parsed.path().contains('@')
        || authority.matches('@').count() > 1
        || !authority.contains('@') && parsed.query().is_some_and(|query| query.contains('@'));
    if cut {
        return Err(unsupported(HIDDEN, UNESCAPED));
    }
    let host = parsed.host_str().unwrap_or("localhost");
    let name = format!("postgres://{host}{}", parsed.path());
    for (parameter, _) in parsed.query_pairs() {
        if !PARAMETERS.contains(&&*parameter) && !parameter.starts_with("options[") {
            return Err(unsupported(
                &name,
                "a parameter of it is not known to the driver",
            ));
        }
    }
    Ok(Target::Postgres {
        url: url.to_owned(),
        name,
    })
}

/// The URL without the password that it may hold.
pub(crate) fn without_password(url: &str) -> Result<String, OpenError> {
    const PARAMETER: &str = "password";
    let Target::Postgres { url, .. } = parse(url)? else {
        return Ok(url.to_owned());
    };
    let Ok(mut parsed) = url::Url::parse(&url) else {
        return Err(unsupported("postgres://…", UNESCAPED));
    };
    let pairs: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
    let has_parameter = pairs.iter().any(|(name, _)| name == PARAMETER);
    if has_parameter {
        let kept = pairs.iter().filter(|(name, _)| name != PARAMETER);
        parsed.query_pairs_mut().clear().extend_pairs(kept);
    }
    if parsed.query() == Some("") {
        parsed.set_query(None);
    }
    let is_less = parsed.password().is_some() && parsed.set_password(None).is_ok();
    Ok(match is_less || has_parameter {
        true => parsed.into(),
        false => url,
    })
}

/// What can be repeated of a URL of unknown form, which may hold a password anywhere.
fn shown(scheme: &str, rest: &str) -> String {
    let plain = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric());
    if plain && rest.starts_with("//") {
        format!("{scheme}://…")
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
        for (url, shown) in [
            (
                "postgres://tidegate:S3CRET@db.example:5433/ledger",
                "postgres://db.example/ledger",
            ),
            (
                "postgresql://tidegate:S3CRET%2F%40%23@db.example/ledger",
                "postgres://db.example/ledger",
            ),
            (
                "postgres://tidegate:S3CRET[@db.example/ledger",
                "postgres://db.example/ledger",
            ),
            (
                "postgres://tidegate:S3:CRET@db.example/ledger",
                "postgres://db.example/ledger",
            ),
            (
                "postgres://db.example/ledger?user=tidegate&password=S3CRET",
                "postgres://db.example/ledger",
            ),
            (
                "postgres://u@db.example/ledger?password=S3%40CRET&sslmode=require",
                "postgres://db.example/ledger",
            ),
            (
                "postgres:///ledger?host=/run/S3CRET&password=S3CRET",
                "postgres://localhost/ledger",
            ),
        ] {
            let Ok(Target::Postgres { name, .. }) = parse(url) else {
                unreachable!("{url} is PostgreSQL")
            };
            assert_eq!(name, shown, "{url}");
        }
    }

    #[test]
    fn a_url_without_its_password_is_the_same_otherwise() {
        for (url, shown) in [
            ("postgres://u:S3CRET@h:1/d", "postgres://u@h:1/d"),
            (
                "postgres://u:S3CRET%2F@h/d?sslmode=require",
                "postgres://u@h/d?sslmode=require",
            ),
            (
                "postgres://h/d?user=u&password=S3CRET",
                "postgres://h/d?user=u",
            ),
            ("postgres://u@h/d?password=S3CRET", "postgres://u@h/d"),
            (
                "postgres:///d?host=/run/pg&password=S3CRET",
                "postgres:///d?host=%2Frun%2Fpg",
            ),
            ("postgres:///d?host=/run/pg", "postgres:///d?host=/run/pg"),
            ("postgres://u@h/d", "postgres://u@h/d"),
            ("sqlite:///var/t.db?mode=rwc", "sqlite:///var/t.db?mode=rwc"),
        ] {
            assert_eq!(without_password(url).ok().as_deref(), Some(shown), "{url}");
        }
        assert!(without_password("postgres://u:1#S3CRET@h/d").is_err());
    }

    #[test]
    fn passwords_stay_out_of_refusals_however_they_are_written() {
        for url in [
            "postgres://tidegate:S3CRET/1@db.example/ledger",
            "postgres://tidegate:1/S3CRET@db.example/ledger",
            "postgres://tidegate:1#S3CRET@db.example/ledger",
            "postgres://tidegate:1?S3CRET@db.example/ledger",
            "postgres://tidegate:S3CRET#1@db.example/ledger",
            "postgres://tidegate:S3CRET@S3CRET@db.example/ledger",
            "postgres://tidegate:p@S3CRET/w@db.example/ledger",
            "postgres://tidegate:S3CRET@db.example:port/ledger",
            "postgres://tidegate:S3CRET@db example/ledger",
            "postgres://tidegate:S3CRET",
            "postgres://tide/gate:S3CRET@db.example/ledger",
            "postgres://u@db.example/ledger?passwort=S3CRET",
            "postgres://u@db.example/ledger?sslpassword=S3CRET&S3CRET",
            "postgres:tidegate:S3CRET@db.example/ledger",
            "mysql://tidegate:S3CRET@db.example/ledger",
            "tidegate:S3CRET@db.example/ledger",
            "S3CRET",
            "S3CRET:x",
            "sqlite://tidegate:S3CRET@db.example/ledger?mode=memory",
            "sqlite://tidegate:S3CRET@db.example/ledger",
            "sqlite://ledger.db?key=S3CRET",
            "postgres:S3CRET",
            "sqlite:ledger.db?mode=ro&password=S3CRET",
        ] {
            let Some(refused) = parse(url).err() else {
                unreachable!("{url} is refused")
            };
            let shown = refused.to_string();
            assert!(!shown.contains("S3CRET"), "{url}: {shown}");
        }
    }
}

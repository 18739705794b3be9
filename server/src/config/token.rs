//! What a token is created with, on the machine of the database.

use std::time::Duration;

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::{Database, PepperFile};
use tidegate_domain::{caller::Role, credential::TOKEN_LIFE};

/// What to do about tokens without a server.
#[derive(Debug, Subcommand)]
pub enum TokenRole {
    /// Create a credential and print its token, which is shown this once.
    ///
    /// Works on the database itself: for the first token, before anybody can call. On SQLite no server may be running.
    Create(CreateToken),
}

/// The credential to create.
#[derive(Debug, Args)]
pub struct CreateToken {
    /// What it may do: admin, approver, viewer or agent.
    #[arg(long, value_parser = role)]
    pub role: Role,
    /// What people call it.
    #[arg(long)]
    pub name: String,
    /// The connection that an agent belongs to.
    #[arg(long, value_name = "UUID")]
    pub connection: Option<Uuid>,
    /// Lets it name other people as initiators and deciders: for a service that has signed them in itself.
    #[arg(long)]
    pub acts_for_others: bool,
    /// How long the token is good, from 1m to 366d.
    #[arg(long, value_name = "DURATION", default_value = "90d", value_parser = token_life)]
    pub expires_in: Duration,
    /// Where the ledger is kept.
    #[command(flatten)]
    pub database: Database,
    /// The key of the digests.
    #[command(flatten)]
    pub pepper: PepperFile,
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(&text.to_ascii_uppercase()).ok_or_else(|| {
        let names: Vec<_> = Role::ALL
            .iter()
            .map(|role| role.name().to_ascii_lowercase())
            .collect();
        format!("must be one of {}", names.join(", "))
    })
}

fn token_life(text: &str) -> Result<Duration, String> {
    let life = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (TOKEN_LIFE.0..=TOKEN_LIFE.1).contains(&life) {
        Ok(life)
    } else {
        Err("must be from 1m to 366d".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_domain::credential::TOKEN_LIFE_DEFAULT;

    #[test]
    fn the_life_of_a_token_has_limits() {
        assert_eq!(token_life("90d"), Ok(TOKEN_LIFE_DEFAULT));
        assert_eq!(token_life("1m"), Ok(TOKEN_LIFE.0));
        assert_eq!(token_life("366d"), Ok(TOKEN_LIFE.1));
        for wrong in ["59s", "367d", "0s", "soon"] {
            assert!(token_life(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn roles_are_written_in_any_case() {
        assert_eq!(role("Admin"), Ok(Role::Admin));
        assert!(role("root").expect_err("no role").contains("approver"));
    }
}

//! Settings: each is a flag, a variable and a key of a file by one definition, so that `--help` is the reference. Nothing
//! else reads the environment, but for `NOTIFY_SOCKET`, which is systemd's.

mod checkpoint;
mod database;
mod file;
mod limits;
mod pepper;
mod refused;
mod setting;
mod settings;
mod token;
mod transport;
mod value;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::value::{address, filter, heartbeat, interval, peer, retention, stop_grace};
pub use self::{
    checkpoint::Checkpoints,
    database::{Database, MigrateMode, PoolingMode},
    limits::Limits,
    pepper::{PEPPER_MIN, PepperError, PepperFile},
    refused::Refused,
    setting::{Origin, Setting},
    settings::{Changes, Settings, definitions},
    token::{CreateToken, TokenRole},
    transport::{Auth, Exposed, Reflection, Transport, exposure},
};
use tidegate_domain::chain::Head;

/// What `--help` ends with.
const EXIT_CODES: &str = "\
Exit codes:
   0  done; a server: told to stop, and stopped
   1  it could not be done; `audit verify`: the log is not sound; `stats check`: sums are wrong
   2  wrong settings or arguments; `audit verify`, `stats check`: nothing can be said about it
  70  a task that the server cannot do without has died
  74  the database cannot be trusted any more";

/// The control plane for transfers of database tables between sites.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate-server",
    version,
    args_conflicts_with_subcommands = true,
    after_help = EXIT_CODES
)]
pub struct Arguments {
    /// What to do; without it: serve.
    #[command(subcommand)]
    pub role: Option<Role>,
    /// A TOML file of settings, named as their flags are; variables and flags come before it. Read again on SIGHUP.
    #[arg(long, env = "TIDEGATE_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Settings when no role is named.
    #[command(flatten)]
    pub serve: Config,
}

/// What the process is for.
#[derive(Debug, Subcommand)]
pub enum Role {
    /// Serve until SIGTERM or SIGINT (the default).
    Serve(Box<Config>),
    /// Bring the database's schema up to date, and end.
    Migrate(Database),
    /// Copy the ledger of an SQLite file into another file, beside a server that may be running.
    Backup(Backup),
    /// Write the ledger as lines of JSON, as of one moment, beside servers that may be running.
    Export(Export),
    /// Fill an empty database with what was exported, of SQLite or PostgreSQL: all of it or nothing.
    ///
    /// The database must have its schema already (`migrate`). Lines that were altered, cut or put into another order are
    /// refused by their number.
    Import(Import),
    /// Look at the settings that a server would start with.
    #[command(subcommand)]
    Config(ConfigRole),
    /// Look into the log of events.
    #[command(subcommand)]
    Audit(AuditRole),
    /// Look after the sums that statistics are read from.
    #[command(subcommand)]
    Stats(StatsRole),
    /// Work on tokens without a server.
    #[command(subcommand)]
    Token(TokenRole),
    /// Ask the server at --metrics-listen whether it serves; exits with 0 if so. For health checks of containers.
    Ready(Ready),
}

/// What to copy, and where to.
#[derive(Debug, Args)]
pub struct Backup {
    /// The copy, which must not be there yet. It is readable for its owner alone, and has its name once it is whole.
    pub file: PathBuf,
    /// Where the ledger is kept.
    #[command(flatten)]
    pub database: Database,
}

/// What to export, and where to.
#[derive(Debug, Args)]
pub struct Export {
    /// A file, which must not be there yet, is readable for its owner alone, and has its name once it is whole. Without it,
    /// lines go to stdout.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Where the ledger is kept.
    #[command(flatten)]
    pub database: Database,
}

/// What to import, and where to.
#[derive(Debug, Args)]
pub struct Import {
    /// What `export` wrote; - is stdin.
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
    /// The database to fill.
    #[command(flatten)]
    pub database: Database,
}

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub enum ConfigRole {
    /// Say whether a server could start with them, without the database; each fault is a line.
    ///
    /// Takes the flags, the variables and the file of a server, and reads what they name: TLS, the pepper, the password.
    Check(Box<Config>),
    /// Print them as a file, without passwords, and say where each is from.
    Print(Box<Config>),
}

/// Whom to ask.
#[derive(Debug, Args)]
pub struct Ready {
    /// What the server was given; where that is every address of the machine, the loopback is asked.
    #[arg(long, env = "TIDEGATE_METRICS_LISTEN", value_name = "ADDRESS", value_parser = peer)]
    pub metrics_listen: SocketAddr,
}

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub enum AuditRole {
    /// Recompute the chain of hashes and name the first event that was altered or is missing.
    ///
    /// Only reads, beside a server that may be running. Exits with 0 when the log is sound, 1 when it is not, 2 when that
    /// cannot be said.
    Verify(Verify),
}

/// What to do with the sums.
#[derive(Debug, Subcommand)]
pub enum StatsRole {
    /// Compare them with the transfers, and print what differs.
    ///
    /// Only reads, beside a server that may be running. Exits with 0 when nothing differs, 1 when something does, 2 when
    /// that cannot be said.
    Check(Database),
    /// Make all of them anew from the transfers, in one transaction.
    ///
    /// No server may have an SQLite file open meanwhile; on PostgreSQL the changes of servers wait, and may be refused.
    Rebuild(Database),
}

/// What to verify.
#[derive(Debug, Args)]
pub struct Verify {
    /// Where the ledger is kept.
    #[command(flatten)]
    pub database: Database,
    /// A head that an earlier run printed and that was kept elsewhere: the log must still lead there.
    #[arg(long, value_name = "SEQUENCE:HASH")]
    pub expect: Option<Head>,
    /// A file that a server wrote its signed checkpoints into (--checkpoint-file), or a copy: the log must agree with each.
    #[arg(long, value_name = "FILE", requires = "public_key")]
    pub checkpoints: Option<PathBuf>,
    /// The public key of the checkpoints, PEM; several times for a file that was signed with several.
    #[arg(long, value_name = "FILE", requires = "checkpoints")]
    pub public_key: Vec<PathBuf>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Arguments {
    /// What to do, with the settings that it takes.
    pub fn into_role(self) -> Role {
        self.role
            .unwrap_or_else(|| Role::Serve(Box::new(self.serve)))
    }
}

/// Everything that can be set.
#[derive(Clone, Debug, Args)]
pub struct Config {
    /// Address or host name to listen on; port 0 picks a free one.
    #[arg(
        long,
        env = "TIDEGATE_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:50051",
        value_parser = address
    )]
    pub listen: SocketAddr,
    /// Address for metrics, health and versions over plain HTTP, such as 127.0.0.1:9464; not served unless set.
    ///
    /// It asks nobody who they are: let only those reach it who look after the server.
    #[arg(long, env = "TIDEGATE_METRICS_LISTEN", value_name = "ADDRESS", value_parser = address)]
    pub metrics_listen: Option<SocketAddr>,
    /// TLS and authentication.
    #[command(flatten)]
    pub transport: Transport,
    /// The key of the digests of tokens.
    #[command(flatten)]
    pub pepper: PepperFile,
    /// Where the ledger is kept.
    #[command(flatten)]
    pub database: Database,
    /// What to do about migrations that the database does not have yet.
    #[arg(long, env = "TIDEGATE_MIGRATE", value_enum, default_value_t = MigrateMode::Auto)]
    pub migrate: MigrateMode,
    /// How often overdue approvals and silent agents are looked for.
    #[arg(long, env = "TIDEGATE_SWEEP_INTERVAL", default_value = "1s", value_parser = interval)]
    pub sweep_interval: Duration,
    /// How long an agent may be silent before it loses its transfer, where neither it nor the connection's policy says so;
    /// 0 is for ever.
    #[arg(long, env = "TIDEGATE_HEARTBEAT_TIMEOUT", default_value = "1m", value_parser = heartbeat)]
    pub heartbeat_timeout: Duration,
    /// How long an agent has to confirm that it has stopped, where neither the call nor the connection's policy says so; 0 is
    /// not at all: what is cancelled or paused stops at once, whatever its agent does.
    #[arg(long, env = "TIDEGATE_STOP_GRACE", default_value = "30s", value_parser = stop_grace)]
    pub stop_grace: Duration,
    /// How long events are kept, such as 90d; for ever unless set. At least 24h: events remember the ids of requests.
    #[arg(long, env = "TIDEGATE_EVENT_RETENTION", value_parser = retention)]
    pub event_retention: Option<Duration>,
    /// How long credentials are kept after they were revoked, and sessions and their agents after they are over, such as 90d;
    /// for ever unless set. At least 24h.
    #[arg(long, env = "TIDEGATE_ACCESS_RETENTION", value_parser = retention)]
    pub access_retention: Option<Duration>,
    /// How long transfers are kept after they have ended, such as 400d; for ever unless set. At least 24h. Their events stay,
    /// and statistics go on counting them.
    #[arg(long, env = "TIDEGATE_TRANSFER_RETENTION", value_parser = retention)]
    pub transfer_retention: Option<Duration>,
    /// Signed checkpoints of the log.
    #[command(flatten)]
    pub checkpoints: Checkpoints,
    /// What may change while the server runs.
    #[command(flatten)]
    pub limits: Limits,
    /// What to log, as a `tracing` filter such as `info` or `tidegate_server=debug`.
    #[arg(
        long,
        env = "TIDEGATE_LOG",
        default_value = "info,sea_orm_migration=warn",
        value_parser = filter
    )]
    pub log: String,
    /// The form of log lines; auto: text on a terminal, JSON otherwise.
    #[arg(long, env = "TIDEGATE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Auto)]
    pub log_format: LogFormat,
}

impl Config {
    /// Whether callers must prove who they are: what was asked for, or else what the address asks for.
    pub fn auth(&self) -> Auth {
        let set = self.transport.auth;
        set.unwrap_or_else(|| Auth::unless_set(self.listen))
    }

    /// Whether the server may listen at its address.
    ///
    /// # Errors
    /// As [`exposure`].
    pub fn exposure(&self) -> Result<(), Exposed> {
        let tls = self.transport.files().is_some();
        let authenticated = self.auth() == Auth::Required;
        exposure(self.listen, tls, authenticated, self.transport.insecure)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_variable() {
        for argument in Arguments::command().get_arguments() {
            let Some(flag) = argument.get_long() else {
                continue;
            };
            if matches!(flag, "help" | "version") {
                continue;
            }
            let variable = format!("TIDEGATE_{}", flag.to_uppercase().replace('-', "_"));
            let env = argument.get_env().and_then(|name| name.to_str());
            assert_eq!(env, Some(variable.as_str()), "--{flag}");
        }
    }

    #[test]
    fn serve_may_be_named_or_not() {
        let bare = Arguments::try_parse_from(["tidegate-server", "--sweep-interval", "250ms"]);
        let named =
            Arguments::try_parse_from(["tidegate-server", "serve", "--sweep-interval", "250ms"]);
        for arguments in [bare, named] {
            let role = arguments.expect("it parses").into_role();
            let Role::Serve(config) = role else {
                panic!("{role:?} does not serve");
            };
            assert_eq!(config.sweep_interval, Duration::from_millis(250));
            assert_eq!(config.listen.port(), 50_051);
        }
    }
}

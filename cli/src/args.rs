//! The command line: what may be said, checked as far as it can be without a server. Calls nothing.

mod agent;
mod bulk;
mod connection;
mod credential;
mod examples;
mod filter;
mod help;
mod profile;
mod receipt;
mod security;
mod transfer;
mod value;
mod which;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum as _};
use clap_complete::Shell;
use tidegate_client::{ClientSettings, Direction, LogPosition};
use uuid::Uuid;

pub(crate) use self::{
    agent::AgentCommand,
    bulk::{OperationCommand, StartArgs},
    connection::{
        Clearable, ConnectionCommand, ConnectionStep, CreateConnectionArgs, PolicyArgs,
        UpdateConnectionArgs,
    },
    credential::{CredentialCommand, RotationArgs, SessionCommand, ShownArgs},
    filter::{FilterArgs, MeantArgs},
    help::{colour, command},
    profile::ProfileCommand,
    receipt::ReceiptArgs,
    security::SecurityArgs,
    transfer::{
        BulkCommand, ClaimArgs, CreateArgs, DecisionCommand, ExportArgs, ListArgs, StepCommand,
        TransferCommand, WatchArgs,
    },
    which::{
        AgentArg, ConfirmArgs, ConnectionArg, CredentialArg, SHORTEST_PART, TransferArg,
        TransferArgs, Which,
    },
};
use crate::output::Format;

const EXIT_CODES: &str = "\
Exit codes:
  0      done; what was watched is completed, what was waited for is so
  1      another error
  2      wrong usage
  10-14  `transfer watch` and `wait`, ended otherwise: 10 failed, 11 denied,
         12 expired, 13 cancelled, 14 completed; 1 for several with several ends
  64+N   the call was refused with gRPC code N: 69 not found, 71 no permission,
         73 not now, 78 unavailable, 80 no good token, ...
  124    `transfer wait`: not so in time
  130    interrupted
  141    broken pipe";

/// Operates Tidegate: declare, approve, watch and account for transfers of tables between sites.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "it is a help text, which shows variables as they are"
)]
#[command(next_help_heading = "Global options")]
pub(crate) struct ConnectArgs {
    /// Profile with the address, the token and the certificates, as `tidegate login` writes them; flags and variables beat
    /// it. [env: TIDEGATE_PROFILE] [default: the default profile, unless an address is given]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Address of the server; without a scheme http:// for this machine, https:// for any other.
    /// [env: TIDEGATE_ADDRESS] [default: 127.0.0.1:50051]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) address: Option<String>,
    #[command(flatten)]
    pub(crate) security: SecurityArgs,
    /// Form of the results on stdout. [env: TIDEGATE_OUTPUT] [default: table]
    #[arg(short, long, global = true, value_enum, ignore_case = true)]
    pub(crate) output: Option<Format>,
    /// Prints each thing as this template of Jinja makes it of the fields of its JSON, e.g. "{{ tableName }}".
    #[arg(
        long,
        global = true,
        value_name = "TEMPLATE",
        conflicts_with = "output"
    )]
    pub(crate) template: Option<String>,
    /// When to use colours: auto is on a terminal, unless NO_COLOR is set or TERM is dumb.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
    /// How long one call may take; a watch may take longer.
    #[arg(long, global = true, value_name = "DURATION", default_value = "10s", value_parser = value::duration)]
    pub(crate) request_timeout: Duration,
    /// What the variables say.
    #[arg(skip)]
    variables: ClientSettings,
}

impl ConnectArgs {
    /// Takes from variables what the command line does not say. An empty variable says nothing.
    ///
    /// # Errors
    /// Which variable cannot be used, and why.
    pub(crate) fn fill(
        &mut self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<(), String> {
        if self.output.is_none() && self.template.is_none() {
            let name = variable("TIDEGATE_OUTPUT").filter(|value| !value.is_empty());
            let form = name.map(|name| Format::from_str(&name.to_string_lossy(), true));
            self.output = form
                .transpose()
                .map_err(|error| format!("TIDEGATE_OUTPUT: {error}"))?;
        }
        let variables = ClientSettings::from_variables(variable);
        self.variables = variables.map_err(|error| error.message().to_owned())?;
        Ok(())
    }

    /// Where the server is and who calls, as the command line and the variables say.
    pub(crate) fn settings(&self) -> ClientSettings {
        let flags = ClientSettings {
            profile: self.profile.clone(),
            address: self.address.clone(),
            ..self.security.clone().settings()
        };
        flags.or(self.variables.clone())
    }
}

/// The things that can be operated on.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Transfers: declare, run, end, list and watch them.
    #[command(subcommand)]
    Transfer(Box<TransferCommand>),
    /// Bulk operations: one verb for many transfers, carried out by the server.
    #[command(subcommand)]
    Bulk(OperationCommand),
    /// Pending approvals.
    #[command(subcommand)]
    Approval(ApprovalCommand),
    /// Shows live what is active and what waits for approval, and takes decisions.
    ///
    /// The arrow keys, or j and k, choose a transfer, and Tab the other list. Then a approves, d denies and c cancels it,
    /// after a comment or a reason was typed: Enter does it, Esc does not. q ends it.
    Top {
        /// Who decides [default: whoever the token belongs to]; needed where the server requires no token.
        #[arg(long, value_name = "UUID")]
        admin: Option<Uuid>,
    },
    /// Totals.
    #[command(subcommand)]
    Stats(StatsCommand),
    /// The log of everything that happened.
    #[command(subcommand)]
    Event(EventCommand),
    /// The other sites.
    #[command(subcommand)]
    Connection(ConnectionCommand),
    /// Who runs transfers.
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Who may call, and with what token.
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Short codes that agents redeem for a token.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Shows whose token this is.
    Whoami,
    /// Checks a token and keeps it in a profile.
    ///
    /// Programs that use the client find it there, too. The token is that of --token-file or --token or, where the server wants one and none is given, it is asked for at a
    /// terminal and read from stdin elsewhere. The profile is the one that --profile names, or the default one. With the
    /// token it keeps --ca, --cert and --key.
    Login {
        /// Address of the server [default: that of the profile, or else 127.0.0.1:50051].
        #[arg(value_name = "ADDRESS", conflicts_with = "address")]
        server: Option<String>,
    },
    /// Takes the token out of a profile.
    ///
    /// The token is as good as before: `tidegate credential revoke` ends it.
    Logout,
    /// Profiles: servers with what is needed to reach them.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Writes the completions of a shell to stdout.
    Completion {
        /// The shell.
        shell: Shell,
    },
    /// Writes the manual pages into a folder.
    Man {
        /// The folder, which is made where there is none.
        #[arg(long)]
        dir: PathBuf,
    },
}

/// What can be done about approvals.
#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalCommand {
    /// Lists transfers that wait for a decision, nearest deadline first.
    List {
        /// Only those of this connection, by name or id.
        #[arg(long, value_name = "CONNECTION", value_parser = which::id_or_name)]
        connection: Option<Which>,
        /// Only those of this table.
        #[arg(long, value_name = "NAME")]
        table: Option<String>,
        #[command(flatten)]
        limit: LimitArgs,
    },
    /// Shows transfers that wait, with the site and who asks.
    Show(TransferArgs),
    #[command(flatten)]
    Decision(Box<DecisionCommand>),
    /// Expires what is overdue, as the server does by itself.
    Expire,
}

/// What can be summed up.
#[derive(Debug, Subcommand)]
pub(crate) enum StatsCommand {
    /// Sums up the transfers of one connection.
    ///
    /// Transfers that were deleted stay counted. The median and the 95th percentile of durations are at most 12 % off.
    Connection {
        #[command(flatten)]
        connection: ConnectionArg,
        #[command(flatten)]
        span: SpanArgs,
    },
    /// Sums up completed transfers by table.
    ///
    /// Transfers that were deleted stay counted. The median and the 95th percentile of durations are at most 12 % off.
    Table {
        /// Only this direction.
        #[arg(long, value_parser = value::direction())]
        direction: Option<Direction>,
        /// Only those of this connection, by name or id.
        #[arg(long, value_name = "CONNECTION", value_parser = which::id_or_name)]
        connection: Option<Which>,
        #[command(flatten)]
        span: SpanArgs,
    },
}

/// When transfers were created.
#[derive(Debug, Args)]
pub(crate) struct SpanArgs {
    /// Only those created at this time or later, e.g. 2h ago as 2h, yesterday, or 2026-01-31T08:00:00Z.
    #[arg(long, visible_alias = "since", value_name = "TIME", value_parser = value::past)]
    pub(crate) from: Option<DateTime<Utc>>,
    /// Only those created at this time or earlier, e.g. 2h ago as 2h, yesterday, or 2026-01-31T08:00:00Z.
    #[arg(long, visible_alias = "until", value_name = "TIME", value_parser = value::past)]
    pub(crate) to: Option<DateTime<Utc>>,
}

/// What can be asked of the log.
#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// Lists events, oldest first.
    List {
        #[command(flatten)]
        of: EventArgs,
        /// Only those after this event: its sequence number, and its hash to be told when the log has another one there.
        #[arg(long, value_name = "SEQUENCE[:HASH]", default_value = "0")]
        after: LogPosition,
        /// Only those at this time or later, e.g. 2h ago as 2h, yesterday, or 2026-01-31T08:00:00Z.
        #[arg(long, visible_alias = "since", value_name = "TIME", value_parser = value::past, conflicts_with = "after")]
        from: Option<DateTime<Utc>>,
        /// Only so many, the newest ones.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with_all = ["after", "from", "limit"])]
        last: Option<u32>,
        #[command(flatten)]
        limit: LimitArgs,
    },
    /// Follows the log from now on until interrupted, over any interruption of the connection.
    Watch {
        #[command(flatten)]
        of: EventArgs,
        /// Those after this event too: its sequence number, and its hash to be told when the log has another one there.
        /// 0 is from the oldest that is kept.
        #[arg(long, value_name = "SEQUENCE[:HASH]")]
        after: Option<LogPosition>,
    },
    /// Verifies the log: recomputes the hashes that chain its events from what is stored. Exit code 1 when something is
    /// wrong.
    Verify {
        /// Only what comes after this event: its sequence number, and its hash as it was kept elsewhere, which shows a log
        /// that was rewritten.
        #[arg(long, value_name = "SEQUENCE[:HASH]", default_value = "0")]
        after: LogPosition,
    },
    /// Writes the log as NDJSON: one event a line with all that is known of it, oldest first, whatever --output says.
    Export {
        /// Only those after this event: its sequence number, and its hash to be told when the log has another one there.
        /// 0 is from the oldest that is kept.
        #[arg(long, value_name = "SEQUENCE[:HASH]", default_value = "0")]
        after: LogPosition,
        /// Goes on with what happens, until interrupted.
        #[arg(long)]
        follow: bool,
    },
}

/// What the events are about.
#[derive(Clone, Debug, Args)]
pub(crate) struct EventArgs {
    /// Only those of this transfer, by its id or a part of it.
    #[arg(long, value_name = "ID", value_parser = which::id)]
    pub(crate) transfer: Option<Which>,
    /// Only those of this connection, by name or id.
    #[arg(long, value_name = "CONNECTION", value_parser = which::id_or_name)]
    pub(crate) connection: Option<Which>,
}

/// How much to list.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct LimitArgs {
    /// At most so many; 0 lists all.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: u32,
}

impl LimitArgs {
    /// The limit as a number of things; 0 is none.
    pub(crate) fn count(self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    /// A page that shows whether there is one more than asked for, within the most that the server gives.
    pub(crate) fn page_size(self) -> u32 {
        if self.limit == 0 {
            1000
        } else {
            self.limit.saturating_add(1).min(1000)
        }
    }
}

/// What makes a change safe to repeat.
#[derive(Clone, Debug, Args)]
pub(crate) struct RequestArgs {
    /// Makes the call safe to repeat: the same one with the same id changes nothing more.
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        let matches = command().try_get_matches_from(line.split_whitespace())?;
        Cli::from_arg_matches(&matches)
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    /// Clap does not see it before somebody types the command.
    #[test]
    fn no_command_has_a_flag_that_all_have() {
        fn look(command: &clap::Command, global: &[&str]) {
            let own = command.get_arguments().filter(|arg| !arg.is_global_set());
            for arg in own {
                let id = arg.get_id().as_str();
                assert!(!global.contains(&id), "{} --{id}", command.get_name());
            }
            command.get_subcommands().for_each(|it| look(it, global));
        }
        let root = command();
        let global = root.get_arguments().filter(|arg| arg.is_global_set());
        let global: Vec<_> = global.map(|arg| arg.get_id().as_str()).collect();
        assert!(global.contains(&"address"), "{global:?}");
        root.get_subcommands().for_each(|it| look(it, &global));
    }

    #[test]
    fn lists_of_statuses_may_be_repeated_or_separated_by_commas() {
        let cli = parse(
            "tidegate transfer list --status failed,IN_PROGRESS --status pending-approval -o json",
        )
        .unwrap();
        let Command::Transfer(command) = cli.command else {
            panic!("a transfer command")
        };
        let TransferCommand::List(list) = *command else {
            panic!("a list")
        };
        let statuses: Vec<String> = list
            .filter
            .to_filter(None)
            .status
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(statuses, ["failed", "in_progress", "pending_approval"]);
        assert_eq!(cli.connect.output, Some(Format::Json));
    }

    /// What is meant when these variables are set.
    fn meant(line: &str, variables: &[(&str, &str)]) -> Result<ConnectArgs, String> {
        let mut args = parse(line).unwrap().connect;
        let value = |name: &str| variables.iter().find(|(variable, _)| *variable == name);
        args.fill(|name| value(name).map(|(_, value)| value.into()))?;
        Ok(args)
    }

    #[test]
    fn a_flag_beats_a_variable_and_an_empty_variable_is_none() {
        let all = [
            ("TIDEGATE_ADDRESS", "http://127.0.0.1:7"),
            ("TIDEGATE_PROFILE", "north"),
            ("TIDEGATE_OUTPUT", "JSON"),
        ];
        let said = |args: &ConnectArgs| {
            let settings = args.settings();
            (settings.address, settings.profile, args.output)
        };
        let text = |text: &str| Some(text.to_owned());
        let args = meant("tidegate whoami", &all).unwrap();
        let wanted = (
            text("http://127.0.0.1:7"),
            text("north"),
            Some(Format::Json),
        );
        assert_eq!(said(&args), wanted);
        let line = "tidegate whoami --address localhost:1 --profile south -o yaml";
        let args = meant(line, &all).unwrap();
        let wanted = (text("localhost:1"), text("south"), Some(Format::Yaml));
        assert_eq!(said(&args), wanted);
        let args = meant("tidegate whoami --template x", &all).unwrap();
        assert_eq!(args.output, None);
        let empty = [
            ("TIDEGATE_ADDRESS", ""),
            ("TIDEGATE_OUTPUT", ""),
            ("TIDEGATE_CA", ""),
        ];
        let args = meant("tidegate whoami", &empty).unwrap();
        assert_eq!(args.settings(), ClientSettings::default());
        assert_eq!(args.output, None);
        let wrong = meant("tidegate whoami", &[("TIDEGATE_OUTPUT", "xml")]).unwrap_err();
        assert!(wrong.starts_with("TIDEGATE_OUTPUT: "), "{wrong}");
    }

    #[test]
    fn what_cannot_be_meant_is_wrong_usage() {
        let lines = [
            "tidegate transfer get not-a-uuid",
            "tidegate transfer list --status done",
            "tidegate transfer list --from soon",
            "tidegate transfer create --direction send --table t --metadata [1]",
            "tidegate transfer approve 00000000-0000-0000-0000-000000000001 --admin me",
            "tidegate transfer watch 00000000-0000-0000-0000-000000000001 --all",
            "tidegate transfer watch 00000000-0000-0000-0000-000000000001 --table t",
            "tidegate stats table --request-timeout soon",
            "tidegate connection update 00000000-0000-0000-0000-000000000001 --clear name",
            "tidegate connection update 00000000-0000-0000-0000-000000000001 --max-transfers -1",
            "tidegate connection list --status done",
            "tidegate event list --last 3 --after 7",
            "tidegate event list --last 0",
        ];
        for line in lines {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_page_is_one_longer_than_the_limit() {
        let page = |limit| LimitArgs { limit }.page_size();
        assert_eq!(
            [page(0), page(1), page(50), page(1000), page(u32::MAX)],
            [1000, 2, 51, 1000, 1000]
        );
    }
}

//! What the tables of refusals and errors are made with: one entry a case, and everything else follows from it.

use std::net::IpAddr;

use uuid::Uuid;

use crate::{
    connection::{ConnectionAction, ConnectionStatus},
    id::{AgentId, BulkOperationId, ConnectionId, CredentialId, TransferId},
    log::Divergence,
    outcome::Phase,
    policy::AllowedHours,
    progress::{Imbalance, Regression, TotalsRule},
    rule::Action,
    status::{Direction, TransferStatus},
    stop::StopCause,
    time::Timestamp,
    transfer::Lease,
    validate::Violation,
};

/// Names and values of one case, as programs read them.
pub type Metadata = Vec<(&'static str, String)>;

/// A field of a case that its metadata tells of.
pub trait MetadataValue {
    /// Adds the value under the `name` of its field; nothing when there is none.
    fn add_to(&self, name: &'static str, metadata: &mut Metadata);
}

macro_rules! plain {
    ($($type:ty),+ $(,)?) => { $(
        impl MetadataValue for $type {
            fn add_to(&self, name: &'static str, metadata: &mut Metadata) {
                metadata.push((name, self.to_string()));
            }
        }
    )+ };
}

plain!(
    &'static str,
    String,
    i64,
    usize,
    Uuid,
    TransferId,
    ConnectionId,
    CredentialId,
    BulkOperationId,
    AgentId,
    IpAddr,
    Timestamp,
    AllowedHours,
    Direction,
    TransferStatus,
    ConnectionStatus,
    StopCause,
    TotalsRule,
    Phase,
);

impl<T: MetadataValue> MetadataValue for Option<T> {
    fn add_to(&self, name: &'static str, metadata: &mut Metadata) {
        if let Some(value) = self {
            value.add_to(name, metadata);
        }
    }
}

macro_rules! action {
    ($($type:ty),+) => { $(
        impl MetadataValue for $type {
            fn add_to(&self, name: &'static str, metadata: &mut Metadata) {
                metadata.extend([(name, self.to_string()), ("allowed_from", self.allowed_from())]);
            }
        }

        impl $type {
            /// The names of the statuses that it may leave.
            pub(super) fn allowed_from(self) -> String {
                let names: Vec<_> = self.rule().from.iter().map(|status| status.name()).collect();
                names.join(", ")
            }
        }
    )+ };
}

action!(Action, ConnectionAction);

impl MetadataValue for Vec<Violation> {
    fn add_to(&self, name: &'static str, metadata: &mut Metadata) {
        let fields: Vec<_> = self.iter().map(|each| each.field.as_str()).collect();
        metadata.push((name, fields.join(", ")));
    }
}

impl MetadataValue for Lease {
    fn add_to(&self, _: &'static str, metadata: &mut Metadata) {
        self.epoch.add_to("lease_epoch", metadata);
        self.owner_uuid.add_to("lease_owner_uuid", metadata);
        if !self.agent_instance.is_empty() {
            self.agent_instance.add_to("agent_instance", metadata);
        }
        self.expires_at.add_to("heartbeat_expires_at", metadata);
    }
}

impl MetadataValue for Regression {
    fn add_to(&self, _: &'static str, metadata: &mut Metadata) {
        self.field.add_to("field", metadata);
        self.stored.add_to("stored", metadata);
        self.reported.add_to("reported", metadata);
    }
}

impl MetadataValue for Imbalance {
    fn add_to(&self, _: &'static str, metadata: &mut Metadata) {
        let Self { rule, sum, limit } = self;
        rule.add_to("rule", metadata);
        sum.add_to("sum", metadata);
        limit.add_to("limit", metadata);
    }
}

impl MetadataValue for Divergence {
    fn add_to(&self, _: &'static str, metadata: &mut Metadata) {
        metadata.extend([
            ("known_sequence", self.known.sequence.to_string()),
            ("known_hash", self.known.digits()),
            ("found_sequence", self.found.sequence.to_string()),
            ("found_hash", self.found.digits()),
        ]);
    }
}

/// A value that goes by a name of its own rather than by that of its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T> {
    /// Its name.
    pub name: &'static str,
    /// The value.
    pub value: T,
}

impl<T: MetadataValue> MetadataValue for Named<T> {
    fn add_to(&self, _: &'static str, metadata: &mut Metadata) {
        self.value.add_to(self.name, metadata);
    }
}

/// Declares an enum of refusals or errors, one entry a case: its text, its fields, its [`ErrorKind`](crate::refusal::ErrorKind)
/// and its REASON.
///
/// Fields in braces are the metadata, by name; a field in brackets is for the text alone. After the REASON may follow what
/// the method named in the head answers for the case. `delegate` adds a case that holds another such enum and something beside it.
#[macro_export]
macro_rules! reasons {
    (
        $(#[$meta:meta])*
        pub enum $name:ident, $extra:ident: $extra_type:ty $(, delegate $outer:ident($inner:ty, $beside:ty))? {
            $(
                $(#[$case_meta:meta])*
                $case:ident
                    $({ $($field:ident: $type:ty),+ $(,)? })?
                    $(($(#[$untold_meta:meta])* $untold:ident: $untold_type:ty))?
                    => $kind:ident $reason:literal $(, $value:expr)?;
            )+
        }
    ) => {
        $(#[$meta])*
        #[allow(missing_docs, reason = "the texts tell what the fields are")]
        pub enum $name {
            $(
                /// Another one's, as it is.
                #[error("{0}")]
                $outer($inner, $beside),
            )?
            $(
                $(#[$case_meta])*
                $case $({ $($field: $type),+ })? $(($(#[$untold_meta])* $untold_type))?,
            )+
        }

        #[allow(unused_variables, reason = "each method needs other fields of a case")]
        impl $name {
            /// The reasons of all cases with their kinds.
            pub const REASONS: &[(&'static str, $crate::refusal::ErrorKind)] =
                &[$(($reason, $crate::refusal::ErrorKind::$kind),)+];

            /// The name of the case: UPPER_SNAKE, part of the contract.
            pub const fn reason(&self) -> &'static str {
                match self {
                    $(Self::$outer(inner, _) => inner.reason(),)?
                    $(Self::$case { .. } => $reason,)+
                }
            }

            /// What kind of no it is.
            pub const fn kind(&self) -> $crate::refusal::ErrorKind {
                match self {
                    $(Self::$outer(inner, _) => inner.kind(),)?
                    $(Self::$case { .. } => $crate::refusal::ErrorKind::$kind,)+
                }
            }

            /// Every value that the text mentions, by name.
            pub fn metadata(&self) -> $crate::refusal::Metadata {
                use $crate::refusal::MetadataValue as _;
                #[allow(unused_mut, reason = "some cases have no values")]
                let mut metadata = Vec::new();
                match self {
                    $(Self::$outer(inner, _) => return inner.metadata(),)?
                    $(Self::$case { $($($field,)+)? .. } => {
                        $($($field.add_to(stringify!($field), &mut metadata);)+)?
                    })+
                }
                metadata
            }

            /// What else the table says of the case.
            pub fn $extra(&self) -> Option<$extra_type> {
                match self {
                    $(Self::$outer(..) => None,)?
                    $(Self::$case $({ $($field),+ })? $(($untold))? => {
                        None $(.or(Some($value)))?
                    })+
                }
            }
        }
    };
}

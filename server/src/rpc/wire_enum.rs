//! The enums that the domain and the contract share, from one list each.

use prost::UnknownEnumValue;
use tidegate_proto::v1;

use tidegate_domain::{
    agent::AgentState,
    attempt::AttemptEnd,
    bulk::{BulkResult, BulkState, BulkVerb},
    caller::Role,
    connection::{ConnectionDirection, ConnectionStatus},
    event::EventType,
    explain::UpcomingAction,
    outcome::{FailureCode, Phase},
    pace::{EstimateUnknownReason, TransferHealth},
    policy::ApprovalMode,
    query::SortOrder,
    receipt::VerificationResult,
    reconcile::ReconciliationState,
    status::{ConflictStrategy, Direction, ExpiryReason, TransferStatus},
    stop::{StopCause, StopKind},
    table::TableCase,
};

/// An enum of the domain that the contract has under the same name, with UNSPECIFIED beside its values.
pub(super) trait WireEnum: Copy {
    /// The number of the value in the contract.
    fn to_wire(self) -> i32;

    /// The value with that number; `None` for UNSPECIFIED.
    fn from_wire(number: i32) -> Result<Option<Self>, UnknownEnumValue>;
}

/// Both directions from the values, which have the same names in the contract unless `=` says otherwise. A value that one
/// side lacks does not compile.
macro_rules! wire_enum {
    ($name:ident { $($value:ident),+ $(,)? }) => {
        wire_enum!($name { $($value = $value),+ });
    };
    ($name:ident { $($value:ident = $wire:ident),+ $(,)? }) => {
        impl WireEnum for $name {
            fn to_wire(self) -> i32 {
                let wire = match self { $(Self::$value => v1::$name::$wire,)+ };
                wire.into()
            }

            fn from_wire(number: i32) -> Result<Option<Self>, UnknownEnumValue> {
                Ok(match v1::$name::try_from(number)? {
                    v1::$name::Unspecified => None,
                    $(v1::$name::$wire => Some(Self::$value),)+
                })
            }
        }
    };
}

wire_enum!(Direction { Send, Receive });
wire_enum!(ConflictStrategy {
    Skip,
    Overwrite,
    Merge,
    Append
});
wire_enum!(TransferStatus {
    Pending,
    PendingApproval,
    Approved,
    Denied,
    InProgress,
    Completed,
    Failed,
    Cancelled,
    Expired,
});
wire_enum!(AttemptEnd {
    Running,
    Completed,
    Failed,
    Cancelled,
    Requeued,
    Paused
});
wire_enum!(UpcomingAction {
    Expire,
    RequestStop,
    ForceStop,
    EndLease,
    EndConnection,
    Retry
});
wire_enum!(StopKind { Cancel, Pause });
wire_enum!(Phase {
    Preparing,
    Transferring,
    Verifying,
    Finalizing
});
wire_enum!(FailureCode {
    Config,
    Source,
    Target,
    Network,
    Data,
    Verification,
    Policy,
    Cancelled,
    HeartbeatLost,
    Internal
});
wire_enum!(StopCause {
    Request,
    ConnectionSuspended,
    ConnectionRevoked,
    FinishBy
});
wire_enum!(ExpiryReason {
    ApprovalExpired,
    ApprovalLapsed,
    NotStarted,
    NotFinished
});
wire_enum!(TransferHealth {
    Healthy,
    Slow,
    NoProgress,
    Silent
});
wire_enum!(EstimateUnknownReason {
    NotRunning,
    TotalUnknown,
    AllRecordsMoved,
    Silent,
    NoProgress,
    TooFewReports
});
wire_enum!(VerificationResult {
    NotDone,
    Passed,
    Failed
});
wire_enum!(ReconciliationState {
    Pending,
    OneSided,
    Matched,
    Diverged
});
wire_enum!(AgentState { Alive, Silent });
wire_enum!(ConnectionDirection { Sender, Receiver });
wire_enum!(ConnectionStatus {
    Pending,
    Active,
    Suspended,
    Revoked,
    Expired
});
wire_enum!(ApprovalMode {
    AutoApprove,
    RequireApproval,
    PerTable
});
wire_enum!(TableCase {
    Sensitive,
    Insensitive
});
wire_enum!(Role {
    Viewer,
    Agent,
    Approver,
    Admin
});
wire_enum!(SortOrder { Ascending = Asc, Descending = Desc });
wire_enum!(EventType {
    Created,
    ApprovalRequested,
    Approved,
    Denied,
    Expired,
    Started,
    Completed,
    Failed,
    Cancelled,
    Deleted,
    ConnectionCreated,
    ConnectionUpdated,
    ConnectionApproved,
    ConnectionSuspended,
    ConnectionReactivated,
    ConnectionRevoked,
    ConnectionExpired,
    ConnectionDeleted,
    CredentialCreated,
    CredentialRotated,
    CredentialRevoked,
    SessionCreated,
    SessionRedeemed,
    Refused,
    Requeued,
    CancelRequested,
    PauseRequested,
    Paused,
    Resumed,
    CredentialDeleted,
    SessionDeleted,
    ReceiptSubmitted,
    Retried,
    BulkOperationStarted,
    BulkOperationEnded,
    RetryPostponed,
    AgentRegistered,
    AgentRemoved,
});
wire_enum!(BulkVerb {
    Cancel,
    Retry,
    Delete
});
wire_enum!(BulkState {
    Running,
    Completed,
    Stopped
});
wire_enum!(BulkResult { Succeeded, Refused });

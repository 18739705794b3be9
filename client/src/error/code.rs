//! What kind of error it is: the status code of gRPC, and the server's reason.

use std::fmt;

/// Declares an enum of names.
macro_rules! names {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $case:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $case,)+
        }

        impl $name {
            /// Every one that this version of the client knows.
            pub const ALL: &'static [Self] = &[$(Self::$case),+];

            /// Its name in the contract, in upper snake case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$case => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

names! {
    /// A status code of gRPC.
    Code {
        /// No error.
        Ok = "OK",
        /// The call was called off.
        Cancelled = "CANCELLED",
        /// Nothing more is known.
        Unknown = "UNKNOWN",
        /// The request is wrong in itself.
        InvalidArgument = "INVALID_ARGUMENT",
        /// No answer came in time.
        DeadlineExceeded = "DEADLINE_EXCEEDED",
        /// What the request names is not there.
        NotFound = "NOT_FOUND",
        /// What the request would make is there already.
        AlreadyExists = "ALREADY_EXISTS",
        /// The caller may not do that.
        PermissionDenied = "PERMISSION_DENIED",
        /// A limit is reached.
        ResourceExhausted = "RESOURCE_EXHAUSTED",
        /// The present state does not allow it.
        FailedPrecondition = "FAILED_PRECONDITION",
        /// Somebody else was faster.
        Aborted = "ABORTED",
        /// A position beyond the ends of the log.
        OutOfRange = "OUT_OF_RANGE",
        /// The server has no such method.
        Unimplemented = "UNIMPLEMENTED",
        /// A defect.
        Internal = "INTERNAL",
        /// The server cannot be reached, or cannot serve at present.
        Unavailable = "UNAVAILABLE",
        /// Something that was on record is not any more.
        DataLoss = "DATA_LOSS",
        /// Nobody knows who asks.
        Unauthenticated = "UNAUTHENTICATED",
    }
}

impl Code {
    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// A number outside the table is `Unknown`, as the gRPC specification has it.
    pub(crate) fn from_number(number: i32) -> Self {
        let index = usize::try_from(number).ok();
        let found = index.and_then(|index| Self::ALL.get(index));
        found.copied().unwrap_or(Self::Unknown)
    }
}

names! {
    /// The server's reason. The contract's list, with what can be done about each, is in the project's docs/errors.md.
    Reason {
        /// Fields of the request are bad.
        InvalidFields = "INVALID_FIELDS",
        /// The request message is larger than `limit` bytes.
        MessageTooLarge = "MESSAGE_TOO_LARGE",
        /// The request message does not decode.
        MalformedMessage = "MALFORMED_MESSAGE",
        /// The headers of the call are larger than `limit` bytes.
        MetadataTooLarge = "METADATA_TOO_LARGE",
        /// The `request_id` was used for another request.
        RequestIdReused = "REQUEST_ID_REUSED",
        /// There is no such method.
        UnknownMethod = "UNKNOWN_METHOD",
        /// The message is compressed in a way that the server does not know.
        UnsupportedEncoding = "UNSUPPORTED_ENCODING",
        /// There is no such transfer, or the caller may not see it.
        TransferNotFound = "TRANSFER_NOT_FOUND",
        /// The status of the transfer or connection does not allow that.
        IllegalTransition = "ILLEGAL_TRANSITION",
        /// The transfer starts only after an approval.
        ApprovalRequired = "APPROVAL_REQUIRED",
        /// The decision came at or after its deadline; the transfer is EXPIRED.
        ApprovalExpired = "APPROVAL_EXPIRED",
        /// A reported total is lower than the stored one.
        ProgressRegressed = "PROGRESS_REGRESSED",
        /// The transfer cannot be a second try of the one that it names.
        RetryNotAllowed = "RETRY_NOT_ALLOWED",
        /// A transfer that has not ended is this side of the movement; the metadata has its `uuid`.
        CorrelationInUse = "CORRELATION_IN_USE",
        /// The transfer is paused, by somebody or with its connection.
        TransferPaused = "TRANSFER_PAUSED",
        /// The transfer is about to be cancelled, so it is not paused or resumed.
        CancelRequested = "CANCEL_REQUESTED",
        /// Nobody has asked the agent to stop, or the request was taken back.
        StopNotRequested = "STOP_NOT_REQUESTED",
        /// The totals cannot be true: the metadata has the `rule`, the `sum` and its `limit`.
        TotalsInconsistent = "TOTALS_INCONSISTENT",
        /// The run is in a later phase.
        PhaseRegressed = "PHASE_REGRESSED",
        /// The transfer may be started only from its `not_before` on.
        TooEarly = "TOO_EARLY",
        /// Nobody started the transfer by `start_expires_at`; it is EXPIRED.
        StartExpired = "START_EXPIRED",
        /// The caller does not hold the transfer's lease, or not any more.
        LeaseLost = "LEASE_LOST",
        /// The transfer or connection has changed since it was looked at.
        StaleRevision = "STALE_REVISION",
        /// Whoever initiated or declared the transfer may not approve it.
        SelfApproval = "SELF_APPROVAL",
        /// There is no such connection, or the caller may not see it.
        ConnectionNotFound = "CONNECTION_NOT_FOUND",
        /// Another connection leads to the same site in the same direction.
        DuplicateConnection = "DUPLICATE_CONNECTION",
        /// The connection has transfers that have not ended.
        ConnectionInUse = "CONNECTION_IN_USE",
        /// The connection is pending, suspended, revoked or expired.
        ConnectionNotActive = "CONNECTION_NOT_ACTIVE",
        /// The `expires_at` of its policy has passed.
        ConnectionExpired = "CONNECTION_EXPIRED",
        /// The policy does not allow the table.
        TableNotAllowed = "TABLE_NOT_ALLOWED",
        /// The policy does not allow the caller's address.
        IpNotAllowed = "IP_NOT_ALLOWED",
        /// It is not the time of day for it.
        OutsideAllowedHours = "OUTSIDE_ALLOWED_HOURS",
        /// As many transfers were started as the policy allows.
        TransferLimitReached = "TRANSFER_LIMIT_REACHED",
        /// More records than the policy leaves.
        RecordLimitReached = "RECORD_LIMIT_REACHED",
        /// As many transfers run as the policy allows.
        RunLimitReached = "RUN_LIMIT_REACHED",
        /// The call shows no good token.
        Unauthenticated = "UNAUTHENTICATED",
        /// The session code is wrong, was redeemed or has expired.
        SessionCodeInvalid = "SESSION_CODE_INVALID",
        /// The caller's role may not make this call.
        PermissionDenied = "PERMISSION_DENIED",
        /// The request names somebody else than the caller.
        ActorMismatch = "ACTOR_MISMATCH",
        /// There is no such credential.
        CredentialNotFound = "CREDENTIAL_NOT_FOUND",
        /// There is no such agent, or the caller may not see it.
        AgentNotFound = "AGENT_NOT_FOUND",
        /// The connection has `limit` agents.
        TooManyAgents = "TOO_MANY_AGENTS",
        /// The credential was revoked and cannot be rotated.
        CredentialRevoked = "CREDENTIAL_REVOKED",
        /// There is no such bulk operation.
        BulkOperationNotFound = "BULK_OPERATION_NOT_FOUND",
        /// As many bulk operations run as may at once.
        TooManyBulkOperations = "TOO_MANY_BULK_OPERATIONS",
        /// The server has too much to do.
        QueueFull = "QUEUE_FULL",
        /// The log is being verified for another caller.
        VerificationBusy = "VERIFICATION_BUSY",
        /// Too many calls, or too many bad tokens or session codes.
        RateLimited = "RATE_LIMITED",
        /// The server or the credential has `limit` streams open.
        TooManyStreams = "TOO_MANY_STREAMS",
        /// One progress stream reports more than `limit` transfers.
        TooManyTransfers = "TOO_MANY_TRANSFERS",
        /// The watcher fell too far behind.
        WatchTooSlow = "WATCH_TOO_SLOW",
        /// Too many answers to this connection or address wait unread.
        AnswersUnread = "ANSWERS_UNREAD",
        /// The call's own deadline has passed.
        DeadlineExceeded = "DEADLINE_EXCEEDED",
        /// The call was cancelled.
        Cancelled = "CANCELLED",
        /// The position is before the oldest event that is kept.
        CursorExpired = "CURSOR_EXPIRED",
        /// The position is beyond the newest event: the cursor is of another ledger, or this one was restored.
        CursorAhead = "CURSOR_AHEAD",
        /// The log has another event at a position that was known.
        LogDiverged = "LOG_DIVERGED",
        /// The database cannot be reached or written just now.
        DatabaseUnavailable = "DATABASE_UNAVAILABLE",
        /// The database has no room left.
        DatabaseFull = "DATABASE_FULL",
        /// Another program holds a row that the call depends on.
        RowLocked = "ROW_LOCKED",
        /// The server stops.
        ShuttingDown = "SHUTTING_DOWN",
        /// The transport, the health service or reflection ended the call.
        Transport = "TRANSPORT",
        /// A defect of the server.
        Internal = "INTERNAL",
        /// One that this version of the client does not know; [`Error::reason_name`](crate::Error::reason_name) has its name.
        Unknown = "UNKNOWN",
    }
}

impl Reason {
    pub(crate) fn from_name(name: &str) -> Self {
        let found = Self::ALL.iter().find(|it| it.as_str() == name);
        found.copied().unwrap_or(Self::Unknown)
    }
}

//! The least request of each change, complete but for what a test adds to it.

use tidegate_proto::v1;

use crate::raw::ADMIN;

/// For a decision, within the usual time.
pub fn asking(uuid: &str) -> v1::RequestApprovalRequest {
    v1::RequestApprovalRequest {
        uuid: uuid.to_owned(),
        ..v1::RequestApprovalRequest::default()
    }
}

/// Yes, without a comment.
pub fn approval(uuid: &str) -> v1::ApproveTransferRequest {
    v1::ApproveTransferRequest {
        uuid: uuid.to_owned(),
        admin_user_uuid: ADMIN.to_owned(),
        ..v1::ApproveTransferRequest::default()
    }
}

/// No, not today.
pub fn denial(uuid: &str) -> v1::DenyTransferRequest {
    v1::DenyTransferRequest {
        uuid: uuid.to_owned(),
        admin_user_uuid: ADMIN.to_owned(),
        reason: "not today".to_owned(),
        ..v1::DenyTransferRequest::default()
    }
}

/// To start, without a heartbeat.
pub fn starting(uuid: &str) -> v1::StartTransferRequest {
    v1::StartTransferRequest {
        uuid: uuid.to_owned(),
        ..v1::StartTransferRequest::default()
    }
}

/// These totals.
pub fn reporting(uuid: &str, progress: v1::Progress) -> v1::UpdateProgressRequest {
    v1::UpdateProgressRequest {
        uuid: uuid.to_owned(),
        progress: Some(progress),
        ..v1::UpdateProgressRequest::default()
    }
}

/// To complete, with the totals as they stand.
pub fn completion(uuid: &str) -> v1::CompleteTransferRequest {
    v1::CompleteTransferRequest {
        uuid: uuid.to_owned(),
        ..v1::CompleteTransferRequest::default()
    }
}

/// To fail, with the totals as they stand.
pub fn failure(uuid: &str) -> v1::FailTransferRequest {
    v1::FailTransferRequest {
        uuid: uuid.to_owned(),
        error_message: "the source went away".to_owned(),
        ..v1::FailTransferRequest::default()
    }
}

/// To cancel.
pub fn cancellation(uuid: &str) -> v1::CancelTransferRequest {
    v1::CancelTransferRequest {
        uuid: uuid.to_owned(),
        reason: "called off".to_owned(),
        ..v1::CancelTransferRequest::default()
    }
}

/// To pause, as long as the server gives by itself.
pub fn pause(uuid: &str) -> v1::PauseTransferRequest {
    v1::PauseTransferRequest {
        uuid: uuid.to_owned(),
        reason: "maintenance".to_owned(),
        ..v1::PauseTransferRequest::default()
    }
}

/// To resume.
pub fn resumption(uuid: &str) -> v1::ResumeTransferRequest {
    v1::ResumeTransferRequest {
        uuid: uuid.to_owned(),
        ..v1::ResumeTransferRequest::default()
    }
}

/// That it has stopped, with the totals as they stand.
pub fn acknowledgement(uuid: &str) -> v1::AcknowledgeStopRequest {
    v1::AcknowledgeStopRequest {
        uuid: uuid.to_owned(),
        ..v1::AcknowledgeStopRequest::default()
    }
}

/// To delete.
pub fn deletion(uuid: &str) -> v1::DeleteTransferRequest {
    v1::DeleteTransferRequest {
        uuid: uuid.to_owned(),
        ..v1::DeleteTransferRequest::default()
    }
}

/// To start one transfer of this connection, without waiting.
pub fn claim(connection_uuid: &str) -> v1::ClaimTransfersRequest {
    v1::ClaimTransfersRequest {
        connection_uuid: connection_uuid.to_owned(),
        ..v1::ClaimTransfersRequest::default()
    }
}

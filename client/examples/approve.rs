//! The smallest approver: approves whatever waits and is small enough. The argument says who approves; with a token,
//! nobody has to.
#![expect(clippy::print_stdout, reason = "an example says what it does")]

use futures::TryStreamExt as _;
use tidegate_client::{Client, Reason};

/// Transfers of more rows are left to people.
const SMALL: i64 = 10_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = Client::from_env().await?;
    let person = std::env::args().nth(1);
    let mut waiting = client.approvals().list_pending().items();
    while let Some(transfer) = waiting.try_next().await? {
        if transfer.records_requested > SMALL {
            continue;
        }
        let mut approval = client
            .approvals()
            .approve(transfer.uuid)
            // Nothing has changed since it was looked at.
            .revision(transfer.revision)
            .comment("small enough");
        if let Some(person) = &person {
            approval = approval.on_behalf_of(person.parse()?);
        }
        match approval.await {
            Ok(transfer) => println!("{} is {}", transfer.uuid, transfer.status),
            // Somebody else decided first, or it is too late.
            Err(error)
                if error.is_precondition() || error.reason() == Some(Reason::StaleRevision) =>
            {
                println!("{error}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

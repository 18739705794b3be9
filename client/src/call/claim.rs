//! Starting whatever there is to start.

use std::{future::IntoFuture, time::Duration};

use futures_util::future::BoxFuture;
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, request};
use crate::{
    Client, Direction, Error, Transfer, Transfers, convert, model::Wire as _, transport::Stubs,
};

impl Call for v1::ClaimTransfersRequest {
    const NAME: &'static str = "claim_transfers";
    type Answer = v1::ClaimTransfersResponse;

    fn wait(&self) -> Duration {
        let wait = self.wait.map(Duration::try_from);
        wait.and_then(Result::ok).unwrap_or_default()
    }

    async fn send(
        mut stubs: Stubs,
        request: tonic::Request<Self>,
    ) -> Result<tonic::Response<v1::ClaimTransfersResponse>, tonic::Status> {
        stubs.transfers.claim_transfers(request).await
    }
}

request! {
    @change
    /// Starts what there is to start; made by [`Transfers::claim`].
    ClaimTransfers(ClaimTransfersRequest),
    ClaimTransfersResponse => Vec<Transfer> {
        |answer| answer.transfers.into_iter().map(convert::present_transfer).collect()
    }
}

impl Transfers {
    /// Starts what this agent may start now: one transfer unless [`max`](ClaimTransfers::max) says otherwise, those of the
    /// highest priority first, and of these the oldest. Of any number of agents each transfer goes to one. Empty when there
    /// is nothing; [`wait`](ClaimTransfers::wait) waits for something.
    ///
    /// Each transfer names its lease, as after [`start`](Self::start). Whoever drops the call while it waits may have started
    /// transfers that nobody runs: they end with their leases.
    pub fn claim(&self) -> ClaimTransfers {
        ClaimTransfers {
            client: self.client.clone(),
            message: v1::ClaimTransfersRequest::default(),
        }
    }
}

impl ClaimTransfers {
    /// One try that may take so long. The request must have its id already.
    pub(crate) async fn send_once(&self, within: Duration) -> Result<Vec<Transfer>, Error> {
        let answer = self
            .client
            .call_within(self.message.clone(), within)
            .await?;
        let transfers = answer.transfers.into_iter();
        transfers.map(convert::present_transfer).collect()
    }

    /// Only transfers of this connection. By default an agent's own, and for others those that belong to none.
    pub fn connection_uuid(mut self, uuid: Uuid) -> Self {
        self.message.connection_uuid = uuid.to_string();
        self
    }

    /// What the agent calls itself, as in [`StartTransfer::agent_instance`](crate::StartTransfer::agent_instance).
    pub fn agent_instance(mut self, name: impl Into<String>) -> Self {
        self.message.agent_instance = name.into();
        self
    }

    /// Only this direction; any by default.
    pub fn direction(mut self, direction: Direction) -> Self {
        self.message.direction = direction.to_wire();
        self
    }

    /// Only these tables, by exact name, at most 100; any by default.
    pub fn table_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.message.table_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// The most to start: 1 by default, at most 100.
    pub fn max(mut self, transfers: u32) -> Self {
        self.message.max = convert::count(transfers);
        self
    }

    /// Ends each lease when its agent is silent for so long, as in
    /// [`StartTransfer::heartbeat_timeout`](crate::StartTransfer::heartbeat_timeout).
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.message.heartbeat_timeout = Some(convert::to_duration(timeout));
        self
    }

    /// How long to wait while there is nothing, at most 60 s; not at all by default. The timeout of the call is longer by
    /// that.
    pub fn wait(mut self, time: Duration) -> Self {
        self.message.wait = Some(convert::to_duration(time));
        self
    }
}

//! What health checks are told: whether calls can be answered just now, for the server and for each service.

use tidegate_proto::v1::{
    connection_service_server, credential_service_server, event_service_server,
    transfer_service_server,
};
use tonic_health::{ServingStatus, server::HealthReporter};

/// The server as a whole, then its services.
const NAMES: [&str; 5] = [
    "",
    transfer_service_server::SERVICE_NAME,
    event_service_server::SERVICE_NAME,
    connection_service_server::SERVICE_NAME,
    credential_service_server::SERVICE_NAME,
];

/// The server's own word on its health; cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
}

impl Health {
    pub(super) const fn new(reporter: HealthReporter) -> Self {
        Self { reporter }
    }

    /// Tells whether calls can be answered.
    pub async fn set(&self, serving: bool) {
        let status = if serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for name in NAMES {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// Ends every health watch, which would hold up the end of the server otherwise.
    pub async fn end(mut self) {
        for name in NAMES {
            self.reporter.clear_service_status(name).await;
        }
    }
}

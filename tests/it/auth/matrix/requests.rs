//! A request for each method.

use prost_reflect::{DynamicMessage, MethodDescriptor, Value};

/// An empty request, but for what makes a watch say something.
pub(super) fn empty(method: &MethodDescriptor) -> DynamicMessage {
    let mut message = DynamicMessage::new(method.input());
    if method.name() == "WatchTransfers" {
        message.set_field_by_name("include_existing", Value::Bool(true));
    }
    message
}

/// A request that asks for a transfer or a connection wherever one can be named, and is otherwise complete.
pub(super) fn about(method: &MethodDescriptor, transfer: &str, connection: &str) -> DynamicMessage {
    let mut message = empty(method);
    let of_connection = method.parent_service().name() == "ConnectionService";
    let uuid = if of_connection { connection } else { transfer };
    let text = |text: &str| Value::String(text.to_owned());
    for (field, value) in [
        ("uuid", text(uuid)),
        ("connection_uuid", text(connection)),
        ("transfer_uuid", text(transfer)),
        ("table_name", text("characters")),
        ("error_message", text("broken")),
        ("agent_instance", text("host")),
    ] {
        if method.input().get_field_by_name(field).is_some() {
            message.set_field_by_name(field, value);
        }
    }
    if method.name() == "CreateTransfer" {
        message.set_field_by_name("direction", Value::EnumNumber(1));
    }
    for (field, name, value) in [
        ("filter", "connection_uuid", text(connection)),
        ("own", "records_transferred", Value::I64(1)),
    ] {
        if let Some(field) = method.input().get_field_by_name(field) {
            let kind = field.kind();
            let mut within = DynamicMessage::new(kind.as_message().expect("a message").clone());
            within.set_field_by_name(name, value);
            message.set_field(&field, Value::Message(within));
        }
    }
    message
}

//! How it looks why a transfer stands where it does.

use std::collections::HashMap;

use tidegate_client::{DecisionRule, Explanation, Upcoming, UpcomingAction};
use uuid::Uuid;

use crate::output::Look;
use crate::text;

/// What there is to say, with what people are called where that is known.
pub(crate) fn details(
    said: &Explanation,
    names: &HashMap<Uuid, String>,
    look: &Look,
) -> Vec<(&'static str, String)> {
    let transfer = &said.transfer;
    let can_start = if said.startable { "yes" } else { "no" };
    let mut values = vec![
        ("uuid", transfer.uuid.to_string()),
        ("status", transfer.status.to_string()),
        ("table", transfer.table_name.clone()),
        ("can start", can_start.to_owned()),
    ];
    for obstacle in &said.obstacles {
        values.push(("because", obstacle.message.clone()));
        values.push(("  remedy", obstacle.remedy.clone()));
        let rule = obstacle.rule.clone().unwrap_or_default();
        values.push(("  rule", rule));
        let until = obstacle.ends_at.map(|at| due(at, look));
        values.push(("  until", until.unwrap_or_default()));
    }
    if let Some(rule) = &said.decision {
        values.extend(decision(rule, names, look));
    }
    let upcoming = said.upcoming.iter();
    values.extend(upcoming.map(|it| ("by itself", comes(it, look))));
    values.retain(|(_, value)| !value.is_empty());
    values
}

/// Who may decide.
pub(super) fn decision(
    rule: &DecisionRule,
    names: &HashMap<Uuid, String>,
    look: &Look,
) -> Vec<(&'static str, String)> {
    let roles: Vec<_> = rule.roles.iter().map(ToString::to_string).collect();
    let deciders = match roles.as_slice() {
        [] => "anybody".to_owned(),
        roles => roles.join(" or "),
    };
    let named = |uuid: &Uuid| names.get(uuid).cloned().unwrap_or_else(|| look.id(*uuid));
    let mut excluded: Vec<_> = rule.excluded_uuids.iter().map(named).collect();
    let connection = rule.excluded_connection_uuid;
    excluded.extend(connection.map(|uuid| format!("agents of connection {}", look.id(uuid))));
    let caller = match &rule.caller_message {
        None => "may approve it".to_owned(),
        Some(message) => format!("may not approve it: {message}"),
    };
    vec![
        ("decided by", deciders),
        ("  but not by", excluded.join(", ")),
        ("  you", caller),
        (
            "  until",
            rule.expires_at.map_or_else(String::new, |at| due(at, look)),
        ),
    ]
}

fn comes(upcoming: &Upcoming, look: &Look) -> String {
    let what = match upcoming.action {
        UpcomingAction::Expire => "it expires",
        UpcomingAction::RequestStop => "its agent is asked to stop, for its time is over",
        UpcomingAction::ForceStop => "it is stopped, whatever its agent says",
        UpcomingAction::EndLease => "its lease ends unless its agent reports",
        UpcomingAction::EndConnection => "its connection expires",
        UpcomingAction::Retry => "another transfer tries it again",
        _ => "something that this version of tidegate does not know",
    };
    let (status, due) = (upcoming.status, due(upcoming.at, look));
    match upcoming.action {
        UpcomingAction::EndLease | UpcomingAction::ForceStop => {
            format!("{what}, and is {status} then: {due}")
        }
        _ => format!("{what}: {due}"),
    }
}

fn due(at: chrono::DateTime<chrono::Utc>, look: &Look) -> String {
    let exact = look.time(at);
    match text::left(at, look.now) {
        left if at > look.now => format!("in {left}, at {exact}"),
        _ => format!("due since {exact}"),
    }
}

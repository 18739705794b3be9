//! Which tables a policy lets through, however their names are written.

use tidegate_proto::v1::{self, ConnectionPolicy, TableCase};
use tidegate_tests::{World, assert_refused, raw::Raw, site::of};
use tonic::Code;

use super::{bad_fields, names};

fn transfer(connection: &str, table: &str) -> v1::CreateTransferRequest {
    v1::CreateTransferRequest {
        table_name: table.to_owned(),
        ..of(connection)
    }
}

/// Those of `tables` that the connection lets through.
async fn let_through<'a>(raw: &mut Raw, connection: &str, tables: &[&'a str]) -> Vec<&'a str> {
    let mut through = Vec::new();
    for table in tables {
        let request = transfer(connection, table);
        match raw.transfers.create_transfer(request).await {
            Ok(_) => through.push(*table),
            Err(refusal) => {
                let code = Code::FailedPrecondition;
                assert_refused(&refusal, code, "TABLE_NOT_ALLOWED");
            }
        }
    }
    through
}

#[tokio::test]
async fn an_exclusion_holds_however_the_table_is_written() {
    let world = World::start().await;
    let mut raw = world.services().await;
    let policy = ConnectionPolicy {
        excluded_tables: names(&["secrets", "hr.salaries", "audit.*", "*_keys"]),
        ..ConnectionPolicy::default()
    };
    let site = raw.site(policy).await;
    let passed = let_through(
        &mut raw,
        &site,
        &[
            "secrets",
            "Secrets",
            "SECRETS",
            "\u{17f}ecrets",
            "\u{ff53}ecrets",
            "public.secrets",
            "Public.SECRETS",
            "main\u{ff0e}secrets",
            "warehouse.public.secrets",
            "salaries",
            "HR.Salaries",
            "warehouse.hr.salaries",
            "audit.anything",
            "api_keys",
            "vault.API_KEYS",
        ],
    )
    .await;
    assert_eq!(passed, [""; 0]);
    let others = ["secrets.public", "finance.salaries", "keys", "secretss"];
    // A name without a schema may mean any, so that audit.* holds for it, too.
    let unsure = let_through(&mut raw, &site, &others).await;
    assert_eq!(unsure, ["secrets.public", "finance.salaries"]);
}

#[tokio::test]
async fn an_allowed_table_is_that_one_alone() {
    let world = World::start().await;
    let mut raw = world.services().await;
    let policy = ConnectionPolicy {
        allowed_tables: names(&["orders", "shop.items", "public.*"]),
        ..ConnectionPolicy::default()
    };
    let site = raw.site(policy).await;
    let tables = [
        "orders",
        "shop.items",
        "public.anything",
        "Orders",
        "shop.orders",
        "items",
        "other.shop.items",
        "Shop.Items",
        "public",
        "other.public.anything",
    ];
    let passed = let_through(&mut raw, &site, &tables).await;
    assert_eq!(passed, ["orders", "shop.items", "public.anything"]);
}

#[tokio::test]
async fn a_table_without_a_clear_name_is_refused_everywhere() {
    let world = World::start().await;
    let mut raw = world.services().await;
    let site = raw.site(ConnectionPolicy::default()).await;
    for bad in [
        " secrets",
        "secrets ",
        "secrets\u{a0}",
        "public. secrets",
        "public .secrets",
        "public..secrets",
        ".secrets",
        "secrets.",
        ".",
        "\"secrets\"",
        "public.\"secrets\"",
        "`secrets`",
        "[secrets]",
        "se\u{3000}crets",
    ] {
        let request = transfer(&site, bad);
        let fields = bad_fields(raw.transfers.create_transfer(request)).await;
        assert_eq!(fields, ["table_name"], "{bad:?}");
        let request = v1::CreateConnectionRequest {
            policy: Some(ConnectionPolicy {
                allowed_tables: names(&["good", bad]),
                excluded_tables: names(&[bad]),
                auto_approve_tables: names(&[bad]),
                ..ConnectionPolicy::default()
            }),
            ..tidegate_tests::site::proposal()
        };
        let fields = bad_fields(raw.connections.create_connection(request)).await;
        assert_eq!(
            fields,
            [
                "policy.allowed_tables[1]",
                "policy.excluded_tables[0]",
                "policy.auto_approve_tables[0]",
            ],
            "{bad:?}"
        );
    }
    let star = transfer(&site, "public.*");
    let fields = bad_fields(raw.transfers.create_transfer(star)).await;
    assert_eq!(fields, ["table_name"], "only a policy has patterns");
}

#[tokio::test]
async fn a_policy_says_what_case_means() {
    let world = World::start().await;
    let mut raw = world.services().await;
    let policy = |case: TableCase| ConnectionPolicy {
        allowed_tables: names(&["Orders", "public.*"]),
        excluded_tables: names(&["public.Secrets"]),
        table_case: case.into(),
        ..ConnectionPolicy::default()
    };
    let tables = [
        "Orders",
        "ORDERS",
        "public.Secrets",
        "public.secrets",
        "PUBLIC.items",
    ];
    for (case, expected) in [
        (TableCase::Unspecified, &["Orders"][..]),
        (TableCase::Sensitive, &["Orders", "public.secrets"]),
        (
            TableCase::Insensitive,
            &["Orders", "ORDERS", "PUBLIC.items"],
        ),
    ] {
        let site = raw.site(policy(case)).await;
        let kept = raw.site_now(&site).await.policy.expect("it has one");
        assert_eq!(kept.table_case(), case);
        let passed = let_through(&mut raw, &site, &tables).await;
        assert_eq!(passed, expected, "{case:?}");
    }
}

#[tokio::test]
async fn a_pattern_frees_its_tables_alone_from_approval() {
    let world = World::start().await;
    let mut raw = world.services().await;
    let policy = ConnectionPolicy {
        approval_mode: v1::ApprovalMode::PerTable.into(),
        auto_approve_tables: names(&["public.log_*"]),
        ..ConnectionPolicy::default()
    };
    let site = raw.site(policy).await;
    for (table, required) in [
        ("public.log_2026", false),
        ("public.orders", true),
        ("log_2026", true),
        ("Public.log_2026", true),
        ("x.public.log_2026", true),
    ] {
        let made = raw.create(transfer(&site, table)).await;
        assert_eq!(made.requires_approval, required, "{table}");
    }
}

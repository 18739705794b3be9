//! Two examples of every verb.

/// Each verb, in the order of the help, with its examples.
pub(super) const EXAMPLES: &[(&str, [&str; 2])] = &[
    (
        "transfer list",
        [
            "tidegate transfer list --status failed --since 1d",
            "tidegate transfer list --connection north -o wide",
        ],
    ),
    (
        "transfer export",
        [
            "tidegate transfer export --table public.orders",
            "tidegate transfer export --status failed --ended-from 30d",
        ],
    ),
    (
        "transfer get",
        [
            "tidegate transfer get d227f4fb",
            "tidegate transfer get d227f4fb --with-connection -o yaml",
        ],
    ),
    (
        "transfer create",
        [
            "tidegate transfer create --direction send --table public.orders",
            "tidegate transfer create --direction send --table t --connection north -o name",
        ],
    ),
    (
        "transfer claim",
        [
            "tidegate transfer claim --connection north --wait 30s",
            "tidegate transfer claim --max 5 --agent-instance \"$(hostname)\" -o jsonl",
        ],
    ),
    (
        "transfer request-approval",
        [
            "tidegate transfer request-approval d227f4fb",
            "tidegate transfer request-approval d227f4fb --expires-in 2h",
        ],
    ),
    (
        "transfer start",
        [
            "tidegate transfer start d227f4fb",
            "tidegate transfer start d227f4fb --heartbeat-timeout 5m",
        ],
    ),
    (
        "transfer progress",
        [
            "tidegate transfer progress d227f4fb --records 20000 --created 20000",
            "tidegate transfer progress d227f4fb --records 20000 --checkpoint page-20",
        ],
    ),
    (
        "transfer complete",
        [
            "tidegate transfer complete d227f4fb",
            "tidegate transfer complete d227f4fb --records 34924 --created 34924",
        ],
    ),
    (
        "transfer acknowledge-stop",
        [
            "tidegate transfer acknowledge-stop d227f4fb",
            "tidegate transfer acknowledge-stop d227f4fb --lease 2 --records 20000",
        ],
    ),
    (
        "transfer submit-receipt",
        [
            "tidegate transfer submit-receipt d227f4fb --own records=9 --peer records=9",
            "tidegate transfer submit-receipt d227f4fb --own records=9,bytes=81 --lease 2",
        ],
    ),
    (
        "transfer fail",
        [
            "tidegate transfer fail d227f4fb --error-message \"disk full\"",
            "tidegate transfer fail d227f4fb --error-message \"disk full\" --code target",
        ],
    ),
    (
        "transfer approve",
        [
            "tidegate transfer approve d227f4fb --comment \"checked with the owner\"",
            "tidegate transfer approve d227f4fb 8c1cf405 --yes",
        ],
    ),
    (
        "transfer deny",
        [
            "tidegate transfer deny d227f4fb --reason \"not this quarter\"",
            "tidegate transfer deny d227f4fb --revision 3",
        ],
    ),
    (
        "transfer cancel",
        [
            "tidegate transfer cancel d227f4fb --reason \"wrong table\"",
            "tidegate transfer cancel --table public.orders --status pending --dry-run",
        ],
    ),
    (
        "transfer pause",
        [
            "tidegate transfer pause d227f4fb --reason \"maintenance\"",
            "tidegate transfer pause d227f4fb --grace 5m",
        ],
    ),
    (
        "transfer resume",
        [
            "tidegate transfer resume d227f4fb",
            "tidegate transfer resume d227f4fb 8c1cf405 --yes",
        ],
    ),
    (
        "transfer retry",
        [
            "tidegate transfer retry d227f4fb",
            "tidegate transfer retry --connection north --since 1d --yes",
        ],
    ),
    (
        "transfer delete",
        [
            "tidegate transfer delete d227f4fb",
            "tidegate transfer delete d227f4fb 8c1cf405 --yes",
        ],
    ),
    (
        "transfer explain",
        [
            "tidegate transfer explain d227f4fb",
            "tidegate transfer explain d227f4fb --agent-ip 192.0.2.7",
        ],
    ),
    (
        "transfer attempts",
        [
            "tidegate transfer attempts d227f4fb",
            "tidegate transfer attempts d227f4fb -o wide",
        ],
    ),
    (
        "transfer count",
        [
            "tidegate transfer count --status in-progress",
            "tidegate transfer count --table public.orders --since 2026-11-01",
        ],
    ),
    (
        "transfer watch",
        [
            "tidegate transfer watch d227f4fb 8c1cf405",
            "tidegate transfer watch --all --status in-progress",
        ],
    ),
    (
        "transfer wait",
        [
            "tidegate transfer wait d227f4fb --timeout 1h",
            "tidegate transfer wait d227f4fb --for approved,in-progress",
        ],
    ),
    (
        "bulk start",
        [
            "tidegate bulk start cancel --connection north --dry-run",
            "tidegate bulk start delete --status failed --ended-to 30d --yes --wait",
        ],
    ),
    (
        "bulk get",
        [
            "tidegate bulk get 0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b",
            "tidegate bulk get 0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b -o json",
        ],
    ),
    (
        "bulk list",
        ["tidegate bulk list", "tidegate bulk list --limit 5 -o wide"],
    ),
    (
        "bulk outcomes",
        [
            "tidegate bulk outcomes 0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b",
            "tidegate bulk outcomes 0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b --result refused",
        ],
    ),
    (
        "bulk stop",
        [
            "tidegate bulk stop 0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b",
            "tidegate bulk stop 0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b --request-id x1",
        ],
    ),
    (
        "approval list",
        [
            "tidegate approval list",
            "tidegate approval list --connection north --limit 0",
        ],
    ),
    (
        "approval show",
        [
            "tidegate approval show d227f4fb",
            "tidegate approval show d227f4fb 8c1cf405",
        ],
    ),
    (
        "approval approve",
        [
            "tidegate approval approve d227f4fb --comment \"as agreed\"",
            "tidegate approval approve d227f4fb --revision 3",
        ],
    ),
    (
        "approval deny",
        [
            "tidegate approval deny d227f4fb --reason \"not this quarter\"",
            "tidegate approval deny d227f4fb 8c1cf405 --yes",
        ],
    ),
    (
        "approval expire",
        [
            "tidegate approval expire",
            "tidegate approval expire -o json",
        ],
    ),
    (
        "top",
        [
            "tidegate top",
            "tidegate top --admin 0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b",
        ],
    ),
    (
        "stats connection",
        [
            "tidegate stats connection north",
            "tidegate stats connection north -o json",
        ],
    ),
    (
        "stats table",
        [
            "tidegate stats table --since 7d",
            "tidegate stats table --connection north --direction send",
        ],
    ),
    (
        "event list",
        [
            "tidegate event list --last 20",
            "tidegate event list --transfer d227f4fb -o wide",
        ],
    ),
    (
        "event watch",
        [
            "tidegate event watch",
            "tidegate event watch --connection north --after 950",
        ],
    ),
    (
        "event verify",
        [
            "tidegate event verify",
            "tidegate event verify --after 950:VTjncZSf/sFQ9ugmCy44ASNsc3PtYsIqP4LcAHEmXMQ=",
        ],
    ),
    (
        "event export",
        [
            "tidegate event export",
            "tidegate event export --after 950 --follow",
        ],
    ),
    (
        "connection create",
        [
            "tidegate connection create --name n --direction sender --site-url https://n",
            "tidegate connection create --name b --direction receiver --site-url https://b",
        ],
    ),
    (
        "connection get",
        [
            "tidegate connection get north",
            "tidegate connection get 26d6efc5 -o yaml",
        ],
    ),
    (
        "connection update",
        [
            "tidegate connection update north --max-transfers 10 --hours 22:00-06:00",
            "tidegate connection update north --clear hours",
        ],
    ),
    (
        "connection approve",
        [
            "tidegate connection approve north",
            "tidegate connection approve 26d6efc5 -o name",
        ],
    ),
    (
        "connection suspend",
        [
            "tidegate connection suspend north",
            "tidegate connection suspend north --reason \"maintenance\"",
        ],
    ),
    (
        "connection reactivate",
        [
            "tidegate connection reactivate north",
            "tidegate connection reactivate 26d6efc5",
        ],
    ),
    (
        "connection revoke",
        [
            "tidegate connection revoke north --reason \"contract ended\"",
            "tidegate connection revoke north --yes",
        ],
    ),
    (
        "connection rotate-token",
        [
            "tidegate connection rotate-token north --overlap 1h",
            "tidegate connection rotate-token north --plain",
        ],
    ),
    (
        "connection delete",
        [
            "tidegate connection delete north",
            "tidegate connection delete north --yes",
        ],
    ),
    (
        "connection list",
        [
            "tidegate connection list --status active,suspended",
            "tidegate connection list --template \"{{ name }} {{ siteUrl }}\"",
        ],
    ),
    (
        "agent list",
        [
            "tidegate agent list --connection north",
            "tidegate agent list --alive-only -o json",
        ],
    ),
    (
        "agent get",
        [
            "tidegate agent get host-1",
            "tidegate agent get host-1 -o yaml",
        ],
    ),
    (
        "agent register",
        [
            "tidegate agent register --agent-instance \"$(hostname)\" --slots 2",
            "tidegate agent register --agent-instance host-1 --engine postgres=17.2",
        ],
    ),
    (
        "credential create",
        [
            "tidegate credential create --name bob --role approver",
            "tidegate credential create --name robot --role agent --connection north",
        ],
    ),
    (
        "credential get",
        [
            "tidegate credential get bob",
            "tidegate credential get bob -o json",
        ],
    ),
    (
        "credential list",
        [
            "tidegate credential list --role approver",
            "tidegate credential list --connection north -o wide",
        ],
    ),
    (
        "credential rotate",
        [
            "tidegate credential rotate bob --overlap 1h",
            "tidegate credential rotate bob --plain",
        ],
    ),
    (
        "credential revoke",
        [
            "tidegate credential revoke bob --reason \"left\"",
            "tidegate credential revoke bob --yes",
        ],
    ),
    (
        "session create",
        [
            "tidegate session create --connection north",
            "tidegate session create --connection north --expires-in 5m --plain",
        ],
    ),
    (
        "session redeem",
        [
            "tidegate session redeem 2345WXYZ --plain",
            "tidegate session redeem \"2345 wxyz\"",
        ],
    ),
    (
        "whoami",
        [
            "tidegate whoami",
            "tidegate whoami --token-file bob.token -o name",
        ],
    ),
    (
        "login",
        [
            "tidegate login gate.example:50051",
            "tidegate login --profile north --token-file north.token north.example:50051",
        ],
    ),
    (
        "logout",
        ["tidegate logout", "tidegate logout --profile north"],
    ),
    (
        "profile list",
        ["tidegate profile list", "tidegate profile list -o json"],
    ),
    (
        "profile show",
        ["tidegate profile show", "tidegate profile show north"],
    ),
    (
        "profile use",
        ["tidegate profile use north", "tidegate profile use default"],
    ),
    (
        "profile delete",
        [
            "tidegate profile delete north",
            "tidegate profile delete north --yes",
        ],
    ),
    (
        "completion",
        ["tidegate completion bash", "tidegate completion zsh"],
    ),
    (
        "man",
        [
            "tidegate man --dir man1",
            "tidegate man --dir /usr/local/share/man/man1",
        ],
    ),
];

//! PostgreSQL as it is really run: silent, moved, read-only, behind a pooler, with settings of its own.

mod postgres_only {
    mod capabilities;
    mod lost;
    mod migrations;
    mod pooler;
    mod sessions;
    mod settings;
    mod silent;
}

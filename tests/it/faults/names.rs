//! Names, addresses and people: what must not pass, and what must be told apart.

//! Every place in a list comes back from its token, and from nothing else: not from another list's, not from a text that
//! was changed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_domain::page::{Position, Scope};
use uuid::Uuid;

fuzz_target!(|input: (i64, u128, u8, u8, &str)| {
    let (micros, uuid, place, letter, text) = input;
    let position = Position {
        micros,
        uuid: Uuid::from_u128(uuid),
    };
    let scope = Scope::new("transfers", "desc", text);
    let token = scope.seal(position);
    assert_eq!(scope.open(&token), Some(position));
    assert_eq!(Scope::new("transfers", "asc", text).open(&token), None);
    for given in [text, &changed(&token, place, letter)] {
        if let Some(position) = scope.open(given) {
            assert_eq!(scope.seal(position), given);
        }
    }
});

/// The token with another letter at one place.
fn changed(token: &str, place: u8, letter: u8) -> String {
    let place = usize::from(place) % token.len();
    let letter = char::from(letter % 128);
    let letters = token.chars().enumerate();
    letters
        .map(|(index, own)| if index == place { letter } else { own })
        .collect()
}

//! Whether the two sides of a movement agree, from the latest receipt of each.

use super::{
    receipt::{Receipt, Statement, VerificationResult},
    status::{Direction, named},
    transfer::Transfer,
};

named! {
    /// What is known of whether both sides agree.
    ReconciliationState {
        /// Neither side has given a receipt.
        Pending = "PENDING",
        /// One side alone has spoken.
        OneSided = "ONE_SIDED",
        /// Both say the same.
        Matched = "MATCHED",
        /// They contradict each other.
        Diverged = "DIVERGED",
    }
}

named! {
    /// What two sides can contradict each other in, by the name of the field.
    DivergedField {
        /// Rows sent are not rows received.
        RecordsTransferred = "records_transferred",
        /// Bytes sent are not bytes received.
        BytesTransferred = "bytes_transferred",
        /// Digests that were made in different ways cannot be compared.
        DigestAlgorithm = "digest_algorithm",
        /// The digests of the rows differ.
        Digest = "digest",
        /// The digests of the columns differ.
        SchemaDigest = "schema_digest",
        /// What the receiver says became of its rows does not add up to them.
        Outcomes = "outcomes",
        /// A side has compared what was moved, and it is not what it should be.
        Verification = "verification",
    }
}

/// What is known of whether both sides agree, and where they do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// What is known.
    pub state: ReconciliationState,
    /// Where they contradict each other, in the order of the fields.
    pub diverged: Vec<DivergedField>,
}

impl Default for Reconciliation {
    fn default() -> Self {
        ReconciliationState::Pending.into()
    }
}

impl From<ReconciliationState> for Reconciliation {
    fn from(state: ReconciliationState) -> Self {
        Self {
            state,
            diverged: Vec::new(),
        }
    }
}

/// Whether `transfer` and the side `across` agree. Where one of them has given no receipt, or is not here, what the other
/// has heard from it stands for its word.
pub fn reconcile(transfer: &Transfer, across: Option<&Transfer>) -> Reconciliation {
    let here = transfer.receipt.as_deref();
    let there = across.and_then(|across| across.receipt.as_deref());
    let (own, other) = match (here, there) {
        (None, None) => return ReconciliationState::Pending.into(),
        (Some(here), Some(there)) => (Some(&here.said.own), Some(&there.said.own)),
        (Some(here), None) => (Some(&here.said.own), here.said.peer.as_ref()),
        (None, Some(there)) => (there.said.peer.as_ref(), Some(&there.said.own)),
    };
    let (Some(own), Some(other)) = (own, other) else {
        return ReconciliationState::OneSided.into();
    };
    let (sender, receiver) = match transfer.declared.direction {
        Direction::Send => (own, other),
        Direction::Receive => (other, own),
    };
    let receipts = here.into_iter().chain(there);
    let diverged: Vec<_> = contradictions(sender, receiver)
        .chain(has_failed(receipts).then_some(DivergedField::Verification))
        .collect();
    let state = if diverged.is_empty() {
        ReconciliationState::Matched
    } else {
        ReconciliationState::Diverged
    };
    Reconciliation { state, diverged }
}

fn contradictions(sender: &Statement, receiver: &Statement) -> impl Iterator<Item = DivergedField> {
    let (sent, received) = (sender.bytes_transferred, receiver.bytes_transferred);
    let digests = sender.digest.as_ref().zip(receiver.digest.as_ref());
    let (one_way, another_way) = (&sender.schema_digest, &receiver.schema_digest);
    [
        (
            DivergedField::RecordsTransferred,
            sender.records_transferred != receiver.records_transferred,
        ),
        (
            DivergedField::BytesTransferred,
            sent.zip(received)
                .is_some_and(|(sent, received)| sent != received),
        ),
        (
            DivergedField::DigestAlgorithm,
            digests.is_some_and(|(one, other)| one.algorithm != other.algorithm),
        ),
        (
            DivergedField::Digest,
            digests.is_some_and(|(one, other)| {
                one.algorithm == other.algorithm && one.value != other.value
            }),
        ),
        (
            DivergedField::SchemaDigest,
            !one_way.is_empty() && !another_way.is_empty() && one_way != another_way,
        ),
        (DivergedField::Outcomes, !adds_up(receiver)),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
}

/// Whether each row has one outcome, unless none is counted.
fn adds_up(receiver: &Statement) -> bool {
    let counted = receiver
        .outcomes()
        .into_iter()
        .filter_map(|(_, count)| count);
    let counted: Vec<_> = counted.map(i128::from).collect();
    counted.is_empty() || counted.iter().sum::<i128>() == i128::from(receiver.records_transferred)
}

fn has_failed<'a>(mut receipts: impl Iterator<Item = &'a Receipt>) -> bool {
    receipts.any(|it| it.said.verification == VerificationResult::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{receipt, transfer as sample},
        receipt::Digest,
    };
    use ReconciliationState::{Diverged, Matched, OneSided, Pending};

    fn statement() -> Statement {
        Statement {
            records_transferred: 10,
            bytes_transferred: Some(100),
            digest: Some(Digest {
                algorithm: "sha-256".to_owned(),
                value: vec![1, 2],
            }),
            schema_digest: vec![3],
            ..Statement::default()
        }
    }

    fn side(direction: Direction, own: Statement, peer: Option<Statement>) -> Transfer {
        let mut transfer = sample();
        transfer.declared.direction = direction;
        let mut receipt = receipt(1);
        (receipt.said.own, receipt.said.peer) = (own, peer);
        transfer.receipt = Some(Box::new(receipt));
        transfer
    }

    fn sender(own: Statement) -> Transfer {
        side(Direction::Send, own, None)
    }

    fn receiver(own: Statement) -> Transfer {
        side(Direction::Receive, own, None)
    }

    fn state(transfer: &Transfer, across: Option<&Transfer>) -> ReconciliationState {
        reconcile(transfer, across).state
    }

    /// A change of one statement, and what it makes two sides contradict each other in.
    type Case = (fn(&mut Statement), &'static [DivergedField]);

    const CASES: [Case; 14] = [
        (|_| {}, &[]),
        (
            |it| it.records_transferred = 9,
            &[DivergedField::RecordsTransferred],
        ),
        (
            |it| it.bytes_transferred = Some(99),
            &[DivergedField::BytesTransferred],
        ),
        (|it| it.bytes_transferred = None, &[]),
        (
            |it| it.digest.as_mut().expect("one").value.push(0),
            &[DivergedField::Digest],
        ),
        (
            |it| it.digest.as_mut().expect("one").algorithm.push('x'),
            &[DivergedField::DigestAlgorithm],
        ),
        (|it| it.digest = None, &[]),
        (
            |it| it.schema_digest = vec![4],
            &[DivergedField::SchemaDigest],
        ),
        (|it| it.schema_digest.clear(), &[]),
        (
            |it| (it.records_transferred, it.bytes_transferred) = (11, Some(0)),
            &[
                DivergedField::RecordsTransferred,
                DivergedField::BytesTransferred,
            ],
        ),
        (|it| it.records_created = Some(10), &[]),
        (
            |it| {
                it.records_created = Some(1);
                it.records_updated = Some(2);
                it.records_skipped = Some(3);
                it.records_failed = Some(4);
            },
            &[],
        ),
        (|it| it.records_failed = Some(9), &[DivergedField::Outcomes]),
        (
            |it| {
                it.records_created = Some(i64::MAX);
                it.records_failed = Some(i64::MAX);
            },
            &[DivergedField::Outcomes],
        ),
    ];

    #[test]
    fn two_sides_contradict_each_other_in_each_field() {
        for (number, (change, expected)) in CASES.into_iter().enumerate() {
            let mut changed = statement();
            change(&mut changed);
            let (sent, received) = (sender(statement()), receiver(changed.clone()));
            let heard = side(Direction::Receive, changed.clone(), Some(statement()));
            let told = side(Direction::Send, statement(), Some(changed.clone()));
            let expected = Reconciliation {
                state: if expected.is_empty() {
                    Matched
                } else {
                    Diverged
                },
                diverged: expected.to_vec(),
            };
            for (transfer, across) in [
                (&sent, Some(&received)),
                (&received, Some(&sent)),
                (&heard, None),
                (&told, None),
            ] {
                assert_eq!(reconcile(transfer, across), expected, "{number}");
            }
        }
    }

    #[test]
    fn outcomes_are_the_receivers() {
        let mut own = statement();
        own.records_created = Some(1);
        assert_eq!(state(&sender(own), Some(&receiver(statement()))), Matched);
    }

    #[test]
    fn a_verification_that_failed_on_either_side_is_a_contradiction() {
        for result in VerificationResult::ALL {
            let (mut sent, received) = (sender(statement()), receiver(statement()));
            sent.receipt.as_mut().expect("it has one").said.verification = *result;
            let expected = match result {
                VerificationResult::Failed => vec![DivergedField::Verification],
                _ => Vec::new(),
            };
            assert_eq!(reconcile(&sent, Some(&received)).diverged, expected);
            assert_eq!(reconcile(&received, Some(&sent)).diverged, expected);
        }
    }

    #[test]
    fn who_has_not_spoken_is_spoken_for_by_who_has_heard() {
        let silent = |direction| {
            let mut transfer = side(direction, statement(), None);
            transfer.receipt = None;
            transfer
        };
        let (sends, receives) = (silent(Direction::Send), silent(Direction::Receive));
        assert_eq!(reconcile(&sends, None), Reconciliation::default());
        assert_eq!(state(&sends, Some(&receives)), Pending);
        for (transfer, across) in [
            (&sender(statement()), None),
            (&sender(statement()), Some(&receives)),
            (&sends, Some(&receiver(statement()))),
        ] {
            assert_eq!(state(transfer, across), OneSided);
        }
        let mut less = statement();
        less.records_transferred = 9;
        let heard = |peer| side(Direction::Receive, statement(), Some(peer));
        assert_eq!(state(&sends, Some(&heard(statement()))), Matched);
        assert_eq!(state(&heard(less.clone()), Some(&sends)), Diverged);
        // Its own word counts for more than what was heard of it.
        assert_eq!(state(&heard(less), Some(&sender(statement()))), Matched);
    }
}

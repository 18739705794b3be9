//! What a side of a movement states, on the command line.

use clap::Args;
use tidegate_client::{FailureCode, QuarantinedRecords, ReceiptStatement, VerificationResult};

use super::{RequestArgs, TransferArg, transfer::LeaseArgs, value};

/// What is stated.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReceiptArgs {
    #[command(flatten)]
    pub(crate) transfer: TransferArg,
    /// What this side counted and saw of the whole movement, e.g. records=1500,bytes=81920,digest=sha-256:9f86d081. Also
    /// created, updated, skipped, failed, and schema for a digest of the columns.
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = statement)]
    pub(crate) own: ReceiptStatement,
    /// What it heard from the other side, in the same way.
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = statement)]
    pub(crate) peer: Option<ReceiptStatement>,
    /// Of which moment the rows are, e.g. "one snapshot".
    #[arg(long, value_name = "TEXT")]
    pub(crate) consistency: Option<String>,
    /// How thoroughly the rows were compared, as both sides call it.
    #[arg(long, value_name = "NAME")]
    pub(crate) verification_level: Option<String>,
    /// What came of that.
    #[arg(long, value_parser = value::verification())]
    pub(crate) verification: Option<VerificationResult>,
    /// Rows that were put aside for a reason, e.g. data=3; may be repeated or separated by commas.
    #[arg(long, value_name = "CODE=N", value_delimiter = ',', value_parser = quarantined)]
    pub(crate) quarantined: Vec<QuarantinedRecords>,
    #[command(flatten)]
    pub(crate) lease: LeaseArgs,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
}

fn statement(text: &str) -> Result<ReceiptStatement, String> {
    let mut statement = ReceiptStatement::default();
    let mut seen = Vec::new();
    for part in text.split(',') {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| format!("{part:?} is not KEY=VALUE"))?;
        if seen.contains(&key) {
            return Err(format!("{key} is there twice"));
        }
        seen.push(key);
        match key {
            "records" => statement.records_transferred = number(key, value)?,
            "created" => statement.records_created = Some(number(key, value)?),
            "updated" => statement.records_updated = Some(number(key, value)?),
            "skipped" => statement.records_skipped = Some(number(key, value)?),
            "failed" => statement.records_failed = Some(number(key, value)?),
            "bytes" => statement.bytes_transferred = Some(number(key, value)?),
            "schema" => statement.schema_digest = hex(key, value)?,
            "digest" => {
                let (algorithm, digits) = value
                    .split_once(':')
                    .ok_or("digest must be ALGORITHM:DIGITS, e.g. sha-256:9f86d081")?;
                algorithm.clone_into(&mut statement.digest_algorithm);
                statement.digest = hex(key, digits)?;
            }
            _ => {
                return Err(format!(
                    "{key:?} is none of records, created, updated, skipped, failed, bytes, digest and schema"
                ));
            }
        }
    }
    if seen.contains(&"records") {
        Ok(statement)
    } else {
        Err("records is required".to_owned())
    }
}

fn quarantined(text: &str) -> Result<QuarantinedRecords, String> {
    let (code, count) = text
        .split_once('=')
        .ok_or("it must be CODE=N, e.g. data=3")?;
    Ok(QuarantinedRecords {
        code: code
            .parse::<FailureCode>()
            .map_err(|error| error.to_string())?,
        count: number("the count", count)?,
    })
}

fn number(key: &str, text: &str) -> Result<i64, String> {
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.ok_or_else(|| format!("{key} must be a whole number from 0 on, not {text:?}"))
}

fn hex(key: &str, text: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let digits = digits.filter(|it| !it.is_empty() && it.len().is_multiple_of(2));
    let digits = digits.ok_or_else(|| {
        format!("{key} must be an even number of hexadecimal digits, not {text:?}")
    })?;
    Ok(digits
        .chunks(2)
        .map(|pair| (pair[0] << 4) | pair[1])
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_read_part_by_part() {
        let all = "records=10,created=1,updated=2,skipped=3,failed=4,bytes=99,digest=sha-256:0aFF,schema=00";
        let expected = ReceiptStatement {
            records_transferred: 10,
            records_created: Some(1),
            records_updated: Some(2),
            records_skipped: Some(3),
            records_failed: Some(4),
            bytes_transferred: Some(99),
            digest: vec![0x0a, 0xff],
            digest_algorithm: "sha-256".to_owned(),
            schema_digest: vec![0],
        };
        assert_eq!(statement(all), Ok(expected));
        for (text, problem) in [
            ("", "\"\" is not KEY=VALUE"),
            ("bytes=1", "records is required"),
            ("records=1,records=1", "records is there twice"),
            (
                "records=-1",
                "records must be a whole number from 0 on, not \"-1\"",
            ),
            ("records=1,rows=1", "\"rows\" is none of"),
            ("records=1,digest=0a", "digest must be ALGORITHM:DIGITS"),
            ("records=1,digest=x:abc", "digest must be an even number"),
            ("records=1,schema=", "schema must be an even number"),
            ("records=1,schema=+1", "schema must be an even number"),
        ] {
            let refused = statement(text).expect_err(text);
            assert!(refused.starts_with(problem), "{text}: {refused}");
        }
    }

    #[test]
    fn what_was_put_aside_is_read_with_its_reason() {
        let expected = QuarantinedRecords {
            code: FailureCode::Data,
            count: 3,
        };
        assert_eq!(quarantined("data=3"), Ok(expected));
        for text in ["data", "data=", "data=-1", "sand=3"] {
            assert!(quarantined(text).is_err(), "{text}");
        }
    }
}

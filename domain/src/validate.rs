//! Limits of every field that callers fill, checked so that all bad ones are reported at once.

use std::{fmt, net::IpAddr, time::Duration};

use uuid::Uuid;

use super::{
    agent::SLOTS_MAX,
    claim,
    outcome::{PROBLEMS_BYTES_MAX, PROBLEMS_MAX, RecordProblems, SAMPLES_MAX},
    progress::Report,
    refusal::Refusal,
    retry::LONGEST_BACKOFF,
    table, text,
    time::Timestamp,
};

mod metadata;
mod tags;

pub use tags::{TAG_MAX, TAGS_MAX};

/// Longest table name, URL, connection name and user agent, in characters.
pub const NAME_MAX: usize = 255;
/// Longest session code, in characters.
pub const SESSION_CODE_MAX: usize = 20;
/// Longest comment or reason, in characters.
pub const REASON_MAX: usize = 1_000;
/// Longest error message, in characters.
pub const ERROR_MESSAGE_MAX: usize = 2_000;
/// Longest request id, in bytes.
pub const REQUEST_ID_MAX: usize = 36;
/// Largest metadata, in bytes of JSON.
pub const METADATA_MAX: usize = 16 * 1024;
/// Deepest metadata, in levels of objects and lists; the outermost object is the first.
pub const METADATA_DEPTH_MAX: usize = 16;
/// Largest checkpoint, in bytes.
pub const CHECKPOINT_MAX: usize = 4 * 1024;
/// Most rows of a page.
pub const PAGE_MAX: u32 = 1_000;
/// Most rows passed over.
pub const SKIP_MAX: u32 = 100_000;
/// Most statuses in a filter.
pub const FILTER_STATUS_MAX: usize = 16;
/// Most tables in a filter.
pub const FILTER_TABLES_MAX: usize = 100;
/// Shortest and longest time to decide.
pub const EXPIRES_IN: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(90 * 24 * 3_600));
/// Time to decide when the caller names none.
pub const EXPIRES_IN_DEFAULT: Duration = Duration::from_secs(24 * 3_600);
/// Shortest and longest time that an agent may stay silent.
pub const HEARTBEAT_TIMEOUT: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(24 * 3_600));

/// Shortest and longest time that a policy gives a transfer to be started, or to finish.
pub const WITHIN: (Duration, Duration) = (
    Duration::from_secs(1),
    Duration::from_secs(366 * 24 * 3_600),
);

/// Most starts of a transfer.
pub const ATTEMPTS_MAX: i64 = 100;

/// Lowest and highest priority of a transfer.
pub const PRIORITY: (i64, i64) = (-100, 100);

/// Most retries that the server makes of one transfer by itself.
pub const RETRIES_MAX: i64 = 100;

/// Shortest and longest wait before the first of these.
pub const RETRY_BACKOFF: (Duration, Duration) = (Duration::from_secs(1), LONGEST_BACKOFF);

/// One field outside its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the request, such as `filter.connection_uuid`.
    pub field: String,
    /// What is wrong with it, to be read after its name.
    pub description: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.field, self.description)
    }
}

/// Collects the violations of one request.
#[derive(Debug, Default)]
pub struct Check {
    violations: Vec<Violation>,
}

impl Check {
    /// Ends the check: `value` if nothing was wrong.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with every violation.
    pub fn finish<T>(self, value: T) -> Result<T, Refusal> {
        if self.violations.is_empty() {
            Ok(value)
        } else {
            let fields = self.violations;
            Err(Refusal::Invalid { fields })
        }
    }

    /// Notes a violation.
    pub fn add(&mut self, field: &str, description: impl Into<String>) {
        self.violations.push(Violation {
            field: field.to_owned(),
            description: description.into(),
        });
    }

    /// Checks a part of the request whose fields are named from `prefix` on, such as `connection.`.
    pub fn within<T>(&mut self, prefix: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        let mut part = Self::default();
        let value = look(&mut part);
        for violation in part.violations {
            self.add(
                &format!("{prefix}{}", violation.field),
                violation.description,
            );
        }
        value
    }

    /// Checks a part of the request of which only some `fields` count: what is wrong with others is passed over.
    pub fn only<T>(&mut self, fields: &[&str], look: impl FnOnce(&mut Self) -> T) -> T {
        let mut part = Self::default();
        let value = look(&mut part);
        let counts = |found: &Violation| {
            let rests = fields.iter().filter_map(|it| found.field.strip_prefix(it));
            rests
                .into_iter()
                .any(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.violations
            .extend(part.violations.into_iter().filter(counts));
        value
    }

    /// A required uuid. A bad one is noted and answered with the nil uuid.
    pub fn uuid<T: From<Uuid>>(&mut self, field: &str, text: &str) -> T {
        if text.is_empty() {
            self.add(field, "is required");
            return Uuid::nil().into();
        }
        self.optional_uuid(field, text)
            .unwrap_or_else(|| Uuid::nil().into())
    }

    /// A uuid, or none when empty.
    pub fn optional_uuid<T: From<Uuid>>(&mut self, field: &str, text: &str) -> Option<T> {
        if text.is_empty() {
            return None;
        }
        // The parser also takes braces, urn: and 32 bare digits; one form keeps logs and tokens comparable.
        let parsed = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
        if parsed.is_none() {
            self.add(
                field,
                "must be a uuid such as 0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b",
            );
        }
        parsed.map(T::from)
    }

    /// One line of text of at most `max` characters; may be empty.
    pub fn line(&mut self, field: &str, text: &str, max: usize) -> String {
        self.text(field, text, max, |c| c.is_control())
    }

    /// A name of at most `max` characters, by which people tell things apart; may be empty.
    pub fn name(&mut self, field: &str, text: &str, max: usize) -> String {
        self.within_length(field, text, max);
        // One that is not there at all was noted as such.
        if let Some(fault) = text::fault_in_name(text).filter(|_| !self.has(field)) {
            self.add(field, fault);
        }
        text.to_owned()
    }

    /// The name of a table; may be empty.
    pub fn table(&mut self, field: &str, name: &str) -> String {
        self.named_table(field, name, table::fault_in_table)
    }

    /// A pattern for names of tables; may be empty.
    pub fn table_pattern(&mut self, field: &str, pattern: &str) -> String {
        self.named_table(field, pattern, table::fault_in_pattern)
    }

    fn named_table(
        &mut self,
        field: &str,
        name: &str,
        fault: fn(&str) -> Option<&'static str>,
    ) -> String {
        let name = self.name(field, name, NAME_MAX);
        if let Some(fault) = fault(&name).filter(|_| !name.is_empty() && !self.has(field)) {
            self.add(field, fault);
        }
        name
    }

    /// What people tell each other, of at most `max` characters, in which lines may break; may be empty.
    pub fn remark(&mut self, field: &str, text: &str, max: usize) -> String {
        self.within_length(field, text, max);
        if let Some(fault) = text::fault_in_remark(text) {
            self.add(field, fault);
        }
        text.to_owned()
    }

    /// What a program says, of at most `max` characters, in which lines may break; may be empty.
    pub fn paragraph(&mut self, field: &str, text: &str, max: usize) -> String {
        self.text(field, text, max, |c| c.is_control() && !text::is_break(c))
    }

    /// Notes an empty text.
    pub fn required(&mut self, field: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(field, "is required");
        }
    }

    /// An http or https address; may be empty.
    pub fn site_url(&mut self, field: &str, text: &str) -> String {
        let url = self.name(field, text, NAME_MAX);
        if url.is_empty() {
            return url;
        }
        let parsed = url::Url::parse(&url).ok();
        match parsed.filter(|it| matches!(it.scheme(), "http" | "https") && it.has_host()) {
            None => self.add(field, "must be an http or https URL"),
            Some(it) if !it.username().is_empty() || it.password().is_some() => {
                self.add(
                    field,
                    "must not contain a user name or a password: every reader sees it",
                );
            }
            Some(_) => {}
        }
        url
    }

    /// An IP address in its canonical form; may be empty.
    pub fn ip(&mut self, field: &str, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        match text.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().to_string(),
            Err(_) => {
                self.add(field, "must be an IPv4 or IPv6 address");
                String::new()
            }
        }
    }

    /// A request id; `None` when empty.
    pub fn request_id(&mut self, text: &str) -> Option<String> {
        if text.len() > REQUEST_ID_MAX {
            self.add(
                "request_id",
                format!("must be at most {REQUEST_ID_MAX} characters long"),
            );
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.add("request_id", "must be printable ASCII without spaces");
        } else if !text.is_empty() {
            return Some(text.to_owned());
        }
        None
    }

    /// A count of at least 0.
    pub fn count(&mut self, field: &str, value: i64) -> i64 {
        if value < 0 {
            self.add(field, "must not be negative");
        }
        value
    }

    /// How often a transfer may be started.
    pub fn attempts(&mut self, field: &str, value: i32) -> i64 {
        self.number(field, value, (1, ATTEMPTS_MAX))
    }

    /// Which of several transfers is claimed first.
    pub fn priority(&mut self, field: &str, value: i32) -> i64 {
        self.number(field, value, PRIORITY)
    }

    /// How often the server may try a transfer again by itself.
    pub fn retries(&mut self, field: &str, value: i32) -> i64 {
        self.number(field, value, (0, RETRIES_MAX))
    }

    fn number(&mut self, field: &str, value: i32, limits: (i64, i64)) -> i64 {
        let value = i64::from(value);
        if value < limits.0 || value > limits.1 {
            let description = format!("must be from {} to {}", limits.0, limits.1);
            self.add(field, description);
        }
        value
    }

    /// How many transfers to start; 0 is one.
    pub fn claim_size(&mut self, field: &str, value: i32) -> u32 {
        let size = self.natural(field, value).max(1);
        if size > claim::MAX {
            self.add(field, format!("must be at most {}", claim::MAX));
        }
        size
    }

    /// How many transfers an agent runs at once; `None` when not said.
    pub fn slots(&mut self, field: &str, value: i32) -> Option<i64> {
        let slots = self.number(field, value, (0, SLOTS_MAX));
        (slots != 0).then_some(slots)
    }

    /// How many transfers may run at once.
    pub fn runs(&mut self, field: &str, value: i32) -> i64 {
        if value < 1 {
            self.add(field, "must be at least 1");
        }
        value.into()
    }

    /// A page size or limit: 0 is `default`, more than [`PAGE_MAX`] is that.
    pub fn page_size(&mut self, field: &str, value: i32, default: u32) -> u32 {
        match self.natural(field, value) {
            0 => default,
            size => size.min(PAGE_MAX),
        }
    }

    /// A number of rows to pass over.
    pub fn skip(&mut self, value: i32) -> u32 {
        let skip = self.natural("skip", value);
        if skip > SKIP_MAX {
            self.add(
                "skip",
                format!("must be at most {SKIP_MAX}; use page_token to go further"),
            );
        }
        skip
    }

    /// A duration within `limits`, both included.
    pub fn duration(
        &mut self,
        field: &str,
        value: Duration,
        limits: (Duration, Duration),
    ) -> Duration {
        if value < limits.0 || value > limits.1 {
            self.add(
                field,
                format!(
                    "must be from {} s to {} s",
                    limits.0.as_secs(),
                    limits.1.as_secs()
                ),
            );
        }
        value
    }

    /// The totals of a report.
    pub fn report(&mut self, report: Report) -> Report {
        for (name, value) in report.fields() {
            self.count(&format!("progress.{name}"), value.unwrap_or(0));
        }
        self.problems("record_problems", &report.problems);
        report
    }

    fn problems(&mut self, field: &str, problems: &[RecordProblems]) {
        if problems.len() > PROBLEMS_MAX {
            self.add(field, format!("must be at most {PROBLEMS_MAX}"));
            return;
        }
        for (place, each) in problems.iter().enumerate() {
            let field = format!("{field}[{place}]");
            if problems[..place].iter().any(|it| it.code == each.code) {
                self.add(&format!("{field}.code"), "is there already");
            }
            let samples = i64::try_from(each.samples.len()).unwrap_or(i64::MAX);
            if each.count < samples.max(1) {
                let text = "must be at least 1, and no less than there are samples";
                self.add(&format!("{field}.count"), text);
            }
            if each.samples.len() > SAMPLES_MAX {
                let text = format!("must be at most {SAMPLES_MAX}");
                self.add(&format!("{field}.samples"), text);
            }
            for (place, sample) in each.samples.iter().take(SAMPLES_MAX).enumerate() {
                let field = format!("{field}.samples[{place}]");
                self.line(&format!("{field}.key"), &sample.key, NAME_MAX);
                self.line(&format!("{field}.reason"), &sample.reason, NAME_MAX);
            }
        }
        let size = serde_json::to_string(problems).map_or(usize::MAX, |text| text.len());
        if size > PROBLEMS_BYTES_MAX {
            let text = format!("must be at most {PROBLEMS_BYTES_MAX} bytes of JSON, is {size}");
            self.add(field, text);
        }
    }

    /// An agent's resume position.
    pub fn checkpoint(&mut self, bytes: Option<Vec<u8>>) -> Option<Vec<u8>> {
        if bytes
            .as_ref()
            .is_some_and(|bytes| bytes.len() > CHECKPOINT_MAX)
        {
            self.add(
                "checkpoint",
                format!("must be at most {CHECKPOINT_MAX} bytes long"),
            );
        }
        bytes
    }

    /// Notes a stretch of time that ends before it begins.
    pub fn range(&mut self, prefix: &str, from: Option<Timestamp>, to: Option<Timestamp>) {
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            self.add(&format!("{prefix}to"), "must not be before from");
        }
    }

    /// Whether something is wrong with the field already.
    fn has(&self, field: &str) -> bool {
        self.violations.iter().any(|it| it.field == field)
    }

    fn within_length(&mut self, field: &str, text: &str, max: usize) {
        if text.chars().count() > max {
            self.add(field, format!("must be at most {max} characters long"));
        }
    }

    fn natural(&mut self, field: &str, value: i32) -> u32 {
        u32::try_from(value).unwrap_or_else(|_| {
            self.add(field, "must not be negative");
            0
        })
    }

    fn text(&mut self, field: &str, text: &str, max: usize, bad: fn(char) -> bool) -> String {
        self.within_length(field, text, max);
        if text.chars().any(bad) {
            self.add(field, "must not contain NUL or control characters");
        }
        text.to_owned()
    }
}

#[cfg(test)]
mod tests;

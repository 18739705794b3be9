//! `tidegate login` and `tidegate logout`: a token comes into a profile, and goes.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
};

use ratatui::crossterm::{
    event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    terminal,
};
use serde_json::json;
use tidegate_client::{
    ClientSettings, Credential, DEFAULT_ADDRESS, Error, Profile, Profiles, Reason, Token,
};
use tokio::sync::oneshot;

use super::{connect_to, profile::in_use};
use crate::args::ConnectArgs;
use crate::failure::{Failure, INTERRUPTED};
use crate::output::{Output, note};
use crate::text;

/// Checks a token with its server, and keeps both.
pub(super) async fn login(
    connect: &ConnectArgs,
    server: Option<String>,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut profiles = Profiles::load().map_err(Failure::unusable)?;
    let name = in_use(connect, &profiles).unwrap_or_else(|_| "default".to_owned());
    let settings = wanted(connect, server, profiles.get(&name).ok());
    let given = settings.read_token().map_err(Failure::unusable)?;
    let (token, caller) = match given {
        Some(token) => {
            let caller = caller(connect, &settings, Some(&token)).await?;
            if caller.is_none() {
                note("the server does not require authentication: the token was not checked");
            }
            (Some(token), caller)
        }
        None => match caller(connect, &settings, None).await {
            Err(Failure::Refused(error)) if wants_token(&error) => {
                let token = ask(settings.address.as_deref().unwrap_or_default()).await?;
                let caller = caller(connect, &settings, Some(&token)).await?;
                (Some(token), caller)
            }
            caller => (None, caller?),
        },
    };
    let profile = kept(settings, token)?;
    let address = profile.address.clone();
    profiles.set(&name, profile).map_err(Failure::unusable)?;
    profiles.save().map_err(Failure::unusable)?;
    let done = json!({ "profile": name, "address": address, "credential": caller });
    out.thing(&done, |look| {
        let who = caller.as_ref().map_or_else(
            || ", which does not require authentication".to_owned(),
            |caller| {
                let end = caller.expires_at;
                let end = end.map(|end| format!(", for {}", text::left(end, look.now)));
                format!(
                    " as {} {}{}",
                    caller.role,
                    caller.name,
                    end.unwrap_or_default()
                )
            },
        );
        format!("profile {name} is for {address}{who}")
    })
}

/// Takes the token out of a profile.
pub(super) fn logout(connect: &ConnectArgs, out: &mut Output) -> Result<(), Failure> {
    let mut profiles = Profiles::load().map_err(Failure::unusable)?;
    let name = in_use(connect, &profiles)?;
    let mut profile = profiles.get(&name).map_err(Failure::unusable)?.clone();
    let token = (profile.token.take(), profile.token_file.take());
    profiles.set(&name, profile).map_err(Failure::unusable)?;
    if token != (None, None) {
        profiles.save().map_err(Failure::unusable)?;
    }
    out.thing(&json!({ "profile": name }), |_| match token {
        (None, None) => format!("profile {name} holds no token"),
        (None, Some(file)) => format!("profile {name} names {} no longer", file.display()),
        (Some(_), _) => format!("the token of profile {name} is forgotten here, not revoked"),
    })
}

/// What is to be in the profile but for its token: what was said, and of what it was before only what fits it.
fn wanted(
    connect: &ConnectArgs,
    server: Option<String>,
    known: Option<&Profile>,
) -> ClientSettings {
    let said = connect.settings();
    let said = ClientSettings {
        profile: None,
        address: server.or(said.address),
        ..said
    };
    let fits = |profile: &&Profile| match &said.address {
        Some(address) => profile.is_for(address),
        None => true,
    };
    let before = known.filter(fits).map(|profile| ClientSettings {
        token: None,
        token_file: None,
        ..ClientSettings::from(profile)
    });
    let mut settings = said.or(before.unwrap_or_default());
    settings
        .address
        .get_or_insert_with(|| DEFAULT_ADDRESS.to_owned());
    settings
}

/// The profile that keeps all of this; it is read from elsewhere, so that its paths must be whole.
fn kept(settings: ClientSettings, token: Option<Token>) -> Result<Profile, Failure> {
    let whole = |path: Option<PathBuf>| path.map(std::path::absolute).transpose();
    Ok(Profile {
        address: settings.address.unwrap_or_default(),
        token,
        token_file: None,
        ca: whole(settings.ca)?,
        cert: whole(settings.cert)?,
        key: whole(settings.key)?,
    })
}

async fn caller(
    connect: &ConnectArgs,
    settings: &ClientSettings,
    token: Option<&Token>,
) -> Result<Option<Credential>, Failure> {
    let settings = ClientSettings {
        token: token.cloned(),
        token_file: None,
        ..settings.clone()
    };
    let client = connect_to(connect, settings).await?;
    Ok(client.credentials().caller().await?)
}

fn wants_token(error: &Error) -> bool {
    error.reason() == Some(Reason::Unauthenticated)
}

/// A token that is typed unseen or, where nobody can type, the first line of stdin.
async fn ask(address: &str) -> Result<Token, Failure> {
    let is_typed = io::stdin().is_terminal() && io::stderr().is_terminal();
    let raw = is_typed.then(|| Unseen::begin(address)).transpose()?;
    let (tell, told) = oneshot::channel();
    // Nobody waits for this thread when the answer is Ctrl-C.
    std::thread::spawn(move || {
        let answer = if is_typed { typed() } else { read() };
        _ = tell.send(answer);
    });
    let answer = told.await.map_err(io::Error::other)?;
    drop(raw);
    match answer? {
        None => Err(Failure::Told(INTERRUPTED)),
        Some(text) if text.is_empty() => Err(Failure::Usage(
            "the server wants a token: type it, give it on stdin, or name its file with --token-file"
                .to_owned(),
        )),
        Some(text) => Ok(Token::from(text)),
    }
}

fn read() -> io::Result<Option<String>> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(Some(line.trim_end().to_owned()))
}

/// While it lives nothing that is typed is shown.
struct Unseen;

impl Unseen {
    fn begin(address: &str) -> io::Result<Self> {
        let mut stderr = io::stderr();
        write!(stderr, "token for {}: ", text::escape(address))?;
        stderr.flush()?;
        terminal::enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        _ = terminal::disable_raw_mode();
        note("");
    }
}

/// A line from the keyboard; none after Ctrl-C.
fn typed() -> io::Result<Option<String>> {
    let mut line = String::new();
    loop {
        let Event::Key(key) = event::read()? else {
            continue;
        };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if is_control => return Ok(None),
            // What was typed ahead of the question ends in a line feed.
            KeyCode::Char('j') if is_control => return Ok(Some(line.trim().to_owned())),
            KeyCode::Enter => return Ok(Some(line.trim().to_owned())),
            KeyCode::Backspace => _ = line.pop(),
            KeyCode::Char(c) if !is_control => line.push(c),
            _ => {}
        }
    }
}

//! `tidegate profile`: servers with what is needed to reach them.

use futures::stream;
use serde_json::json;
use tidegate_client::Profiles;

use super::several::confirm;
use crate::args::{ConnectArgs, ProfileCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::view::profile::{COLUMNS, Named, details};

/// Runs one of the commands.
pub(super) async fn run(
    connect: &ConnectArgs,
    command: ProfileCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut profiles = Profiles::load().map_err(Failure::unusable)?;
    let is_default = |profiles: &Profiles, name: &str| profiles.default_name() == Some(name);
    match command {
        ProfileCommand::List => {
            let all = profiles.iter();
            let all = all.map(|(name, it)| Ok(Named::new(name, it, is_default(&profiles, name))));
            let none = "no profiles; tidegate login makes one";
            out.list(stream::iter(all), 0, COLUMNS, none).await
        }
        ProfileCommand::Show { name } => {
            let name = match name {
                Some(name) => name,
                None => in_use(connect, &profiles)?,
            };
            let profile = profiles.get(&name).map_err(Failure::unusable)?;
            let shown = Named::new(&name, profile, is_default(&profiles, &name));
            out.details(&shown, |_| details(&shown))
        }
        ProfileCommand::Use { name } => {
            profiles.set_default(&name).map_err(Failure::unusable)?;
            profiles.save().map_err(Failure::unusable)?;
            out.thing(&json!({ "default": name }), |_| {
                format!("profile {name} is the default now")
            })
        }
        ProfileCommand::Delete {
            name,
            confirm: asked,
        } => {
            profiles.remove(&name).map_err(Failure::unusable)?;
            confirm(asked, &format!("delete profile {name} with its token")).await?;
            profiles.save().map_err(Failure::unusable)?;
            out.thing(&json!({ "deleted": name }), |_| {
                format!("profile {name} is deleted")
            })
        }
    }
}

/// The name of the profile that a command would use.
pub(super) fn in_use(connect: &ConnectArgs, profiles: &Profiles) -> Result<String, Failure> {
    let named = connect.settings().profile;
    let name = named.or_else(|| profiles.default_name().map(str::to_owned));
    name.ok_or_else(|| {
        Failure::Usage("no profile is in use: name one, or make one with tidegate login".to_owned())
    })
}

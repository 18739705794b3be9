//! What a profile says.

use super::ClientSettings;
use crate::{Error, Profile, Profiles};

#[cfg(test)]
mod tests;

impl ClientSettings {
    /// Takes from a profile what is not said here: from the one that is named or, where neither a profile nor an address
    /// is, from the default profile.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when the profiles cannot be read ([`Profiles::load`]), when there is no profile of that name, and
    /// when its token or certificate would go to another address than its own.
    pub fn with_profile(self) -> Result<Self, Error> {
        if let Some(name) = &self.profile {
            let profile = Profiles::load()?.get(name)?.clone();
            return self.on(&profile);
        }
        if self.address.is_some() || Profiles::path().is_none() {
            return Ok(self);
        }
        let profiles = Profiles::load()?;
        match profiles.default_name() {
            Some(name) => self.on(profiles.get(name)?),
            None => Ok(self),
        }
    }

    fn on(self, profile: &Profile) -> Result<Self, Error> {
        let of_profile = Self::from(profile);
        let elsewhere = self.address.as_deref();
        let Some(address) = elsewhere.filter(|address| !profile.is_for(address)) else {
            return Ok(self.or(of_profile));
        };
        let gives_token = of_profile.has_token() && !self.has_token();
        let gives_key = of_profile.key.is_some() && self.key.is_none() && self.cert.is_none();
        if gives_token || gives_key {
            let own = &profile.address;
            return Err(Error::invalid(format!(
                "the profile is for {own}, and its secrets do not go to {address}: leave that address out, or give a token or certificate for it"
            )));
        }
        Ok(self.or(of_profile))
    }
}

impl From<&Profile> for ClientSettings {
    fn from(profile: &Profile) -> Self {
        let Profile {
            address,
            token,
            token_file,
            ca,
            cert,
            key,
        } = profile.clone();
        Self {
            profile: None,
            address: Some(address),
            token,
            token_file,
            ca,
            cert,
            key,
        }
    }
}

use super::*;

const COMMENTED: &str = "\
# mine
default = \"north\" # for now

[profile.north] # the old one
address = \"https://north.example\"
ca = \"ca.pem\"

[profile.south]
address = \"localhost:1\"
token_file = \"/run/south.token\"
";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The profiles of a file with this text.
fn read(text: &str) -> Result<Profiles, Error> {
    let folder = folder();
    let path = folder.path().join("profiles.toml");
    file::write(&path, text).expect("it is written");
    Profiles::load_from(path)
}

fn refusal(text: &str) -> String {
    read(text).expect_err(text).message().to_owned()
}

#[test]
fn paths_begin_at_the_folder_of_the_file() {
    let profiles = read(COMMENTED).expect("it can be read");
    assert_eq!(profiles.default_name(), Some("north"));
    let north = profiles.get("north").expect("it is there");
    let folder = profiles.file().parent().expect("a folder");
    assert_eq!(north.ca, Some(folder.join("ca.pem")));
    let south = profiles.get("south").expect("it is there");
    assert_eq!(south.token_file, Some(PathBuf::from("/run/south.token")));
    let missing = profiles.get("east").expect_err("it is not there");
    assert!(missing.message().ends_with("has north, south"), "{missing}");
}

#[test]
fn what_is_not_understood_is_refused_by_name_and_line() {
    for (text, words) in [
        (
            "[profile.a]\naddress = \"x\"\ntokn = \"tdg_s3cret\"\n",
            ":3: unknown field `tokn`",
        ),
        ("defaults = \"a\"\n", ":1: unknown field `defaults`"),
        (
            "[profile.a]\ntoken = \"tdg_s3cret\"\n",
            "missing field `address`",
        ),
        ("[profile.a]\naddress = \"x\"\ntoken = tdg_s3cret\n", ":3: "),
        (
            "default = \"a\"\n",
            "the default profile \"a\" is not there",
        ),
        (
            "[profile.a]\naddress = \"x\"\ntoken = \"tdg_s3cret\"\ntoken_file = \"f\"\n",
            "profile a has both token and token_file",
        ),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(words), "{refusal}");
        assert!(!refusal.contains("s3cret"), "{refusal}");
        assert!(!refusal.contains('\n'), "{refusal}");
    }
}

#[test]
fn where_there_is_no_file_there_are_no_profiles() {
    let path = folder().path().join("none.toml");
    let profiles = Profiles::load_from(path).expect("that is no error");
    assert_eq!(profiles.iter().count(), 0);
    let missing = profiles.get("north").expect_err("it is not there");
    assert!(
        missing.message().ends_with("none.toml has none"),
        "{missing}"
    );
}

#[test]
fn a_change_is_kept_with_the_comments_and_for_the_owner_alone() {
    let folder = folder();
    let path = folder.path().join("new").join("profiles.toml");
    file::write(&path, COMMENTED).expect("it is written");
    let mut profiles = Profiles::load_from(&path).expect("it can be read");
    let north = Profile {
        token: Some(Token::from("tdg_s3cret".to_owned())),
        ..profiles.get("north").expect("it is there").clone()
    };
    profiles.set("north", north.clone()).expect("a good name");
    profiles.set_default("south").expect("it is there");
    profiles.save().expect("it is written");
    assert!(!format!("{profiles:?}").contains("s3cret"), "{profiles:?}");

    let text = std::fs::read_to_string(&path).expect("it is there");
    assert!(
        text.starts_with("# mine\ndefault = \"south\" # for now\n"),
        "{text}"
    );
    assert!(text.contains("# the old one"), "{text}");
    assert!(text.contains("ca = \"ca.pem\""), "{text}");
    let mut again = Profiles::load_from(&path).expect("it can be read");
    assert_eq!(again.default_name(), Some("south"));
    assert_eq!(again.get("north").expect("it is there"), &north);

    again.remove("south").expect("it is there");
    again.save().expect("it is written");
    let again = Profiles::load_from(&path).expect("it can be read");
    assert_eq!(again.default_name(), None);
    assert_eq!(again.iter().count(), 1);
}

#[test]
fn the_first_profile_is_the_default() {
    let path = folder().path().join("profiles.toml");
    let mut profiles = Profiles::load_from(path).expect("there are none");
    for name in ["", "a b", "a/b", "ü"] {
        assert!(profiles.set(name, Profile::default()).is_err(), "{name}");
    }
    profiles
        .set("b.1", Profile::default())
        .expect("a good name");
    profiles.set("a", Profile::default()).expect("a good name");
    assert_eq!(profiles.default_name(), Some("b.1"));
}

#[cfg(unix)]
#[test]
fn a_token_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = folder();
    let path = folder.path().join("profiles.toml");
    let readable = || std::fs::Permissions::from_mode(0o640);
    let mode = || {
        std::fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode()
    };
    file::write(&path, COMMENTED).expect("it is written");
    assert_eq!(mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, readable()).expect("its owner");
    let mut profiles = Profiles::load_from(&path).expect("it holds no token");
    let mut north = profiles.get("north").expect("it is there").clone();
    north.token = Some(Token::from("tdg_s3cret".to_owned()));
    profiles.set("north", north).expect("a good name");
    profiles.save().expect("it is written");
    assert_eq!(mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, readable()).expect("its owner");
    let refusal = Profiles::load_from(&path).expect_err("others can read it");
    assert!(refusal.message().contains("chmod 600"), "{refusal}");
}

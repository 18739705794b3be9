//! Each fault that a run has to notice can be made.

use std::{collections::BTreeSet, fs, path::Path};

use tidegate_chaos::detect::FAULTS;

#[test]
fn every_fault_has_its_patch() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deliberate-faults");
    let files = fs::read_dir(folder).expect("the folder is there");
    let patches: BTreeSet<String> = files
        .map(|file| file.expect("it can be read").path())
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into())
        .collect();
    assert_eq!(patches, FAULTS.map(str::to_owned).into());
}

//! What a build in a container is given of the checkout: everything but what `.dockerignore` names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{paths, process};

/// Copies it into a folder. Only the patterns that our `.dockerignore` has are understood: a path, and `**/` with a name.
fn copy_to(folder: &Path) -> Result<()> {
    let root = paths::root();
    let text = fs::read_to_string(root.join(".dockerignore")).context("cannot read .dockerignore")?;
    let ignored: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    copy(&root, Path::new(""), folder, &ignored)
}

fn copy(root: &Path, below: &Path, folder: &Path, ignored: &[&str]) -> Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let is_ignored = |pattern: &&str| match pattern.strip_prefix("**/") {
            Some(name) => path.file_name().is_some_and(|it| it == name),
            None => path == Path::new(pattern),
        };
        if ignored.iter().any(is_ignored) {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir(folder.join(&path))?;
            copy(root, &path, folder, ignored)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), folder.join(&path))?;
        }
    }
    Ok(())
}

/// The targets that cargo finds in a folder. One whose file is missing is not among them, and nothing can be built then.
fn targets(folder: &Path) -> Result<BTreeSet<String>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(folder).args(["metadata", "--no-deps", "--offline", "--format-version=1"]);
    let metadata: Value = serde_json::from_str(&process::output_of(&mut cargo)?)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    Ok(targets.map(|target| format!("{} {}", target["kind"], target["name"])).collect())
}

/// What is left out must not be what a manifest names: where nothing was built on the host, nothing could be built then.
#[test]
fn every_target_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    copy_to(folder.path()).unwrap();
    assert!(!folder.path().join("target").exists());
    assert_eq!(targets(folder.path()).unwrap(), targets(&paths::root()).unwrap());
}

/// The files that are compiled into others, as far as they are named on one line.
fn included(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type()))?;
        if kind?.is_dir() {
            included(&path, found)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            let code = fs::read_to_string(&path)?;
            let names = code.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(names.filter(|name| name.contains('.')).map(|name| folder.join(name)));
        }
    }
    Ok(())
}

#[test]
fn what_is_compiled_in_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    copy_to(folder.path()).unwrap();
    let mut files = Vec::new();
    included(folder.path(), &mut files).unwrap();
    assert!(files.len() > 3, "{files:?}");
    let missing: Vec<_> = files.iter().filter(|file| !file.exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

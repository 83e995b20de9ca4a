//! Where fixtures are: folders, files, and archives that are unpacked once into the temporary folder.

use eyre::{Context, ensure};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::UNIX_EPOCH,
};

/// Archives in the folder that `$WEFT_FIXTURES` names, else in `../shared`; none if there is neither.
pub fn default_paths() -> Vec<PathBuf> {
    let base =
        std::env::var_os("WEFT_FIXTURES").map(PathBuf::from).into_iter().chain([PathBuf::from("../shared")]);
    base.map(|base| archives(&base.join("fixtures"))).find(|found| !found.is_empty()).unwrap_or_default()
}

/// All test files below the paths, in the order of their names.
pub fn collect(paths: &[PathBuf]) -> eyre::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let packed = archives(&path.join("fixtures"));
        if !packed.is_empty() {
            for archive in packed {
                walk(&unpack(&archive)?, &mut files)?;
            }
        } else if path.is_dir() {
            walk(path, &mut files)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path.clone());
        } else {
            walk(&unpack(path)?, &mut files)?;
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn archives(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<_> = entries
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.contains("blockchain") && name.ends_with(".tar.xz")
        })
        .collect();
    found.sort();
    found
}

/// JSON files below a folder. Hidden folders hold indices, not tests.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> eyre::Result<()> {
    for entry in std::fs::read_dir(folder).wrap_err_with(|| folder.display().to_string())? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "json") && !hidden {
            files.push(path);
        }
    }
    Ok(())
}

/// Unpacks an archive with `tar`, once: the folder's name says which archive it is, and it gets its name when it is whole.
fn unpack(archive: &Path) -> eyre::Result<PathBuf> {
    let about = std::fs::metadata(archive).wrap_err_with(|| archive.display().to_string())?;
    let modified = about.modified()?.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let name = archive.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = std::env::temp_dir().join(format!("weft-{name}-{}-{modified}", about.len()));
    if folder.is_dir() {
        return Ok(folder);
    }
    let partial = folder.with_extension(format!("{}.partial", std::process::id()));
    std::fs::create_dir_all(&partial)?;
    let status =
        Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(&partial).status().wrap_err("tar")?;
    ensure!(status.success(), "tar could not unpack {}: {status}", archive.display());
    // Another process may have been faster; its folder is as good.
    if std::fs::rename(&partial, &folder).is_err() {
        std::fs::remove_dir_all(&partial)?;
        ensure!(folder.is_dir(), "{} is in the way", folder.display());
    }
    Ok(folder)
}

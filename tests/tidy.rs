//! The style as a test: arrows between crates, single owners, sizes, module docs, documented commands.
//!
//! Dependencies are read from `cargo metadata`, dev-dependencies included; sources as text. A rule that would make a
//! file worse is broken here, in one line with its reason, and nowhere else.

use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// DESIGN.md's arrows: A may use B, and what B may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("weft-primitives", &[]),
    ("weft-chainspec", &["weft-primitives"]),
    ("weft-erasure", &["weft-primitives"]),
    ("weft-storage", &["weft-primitives", "weft-erasure"]),
    ("weft-trie", &["weft-storage"]),
    ("weft-evm", &["weft-chainspec"]),
    ("weft-pool", &["weft-evm", "weft-storage", "weft-erasure"]),
    ("weft-engine", &["weft-pool", "weft-evm", "weft-trie"]),
    ("weft-stages", &["weft-storage"]),
    ("weft-p2p", &["weft-erasure", "weft-chainspec"]),
    ("weft-arweave", &[]),
    ("weft-archive", &["weft-stages", "weft-p2p", "weft-erasure", "weft-trie", "weft-arweave"]),
    ("weft-consensus", &["weft-engine", "weft-chainspec", "weft-p2p"]),
    ("weft-rpc", &["weft-engine", "weft-archive"]),
    ("weft-node", &["weft-consensus", "weft-rpc"]),
    ("weft", &["weft-node"]),
    ("weft-benches", &["weft-node"]),
];

/// Who alone may use a dependency outside of tests.
const OWNERS: &[(&str, &str)] = &[
    ("rocksdb", "weft-storage"),
    ("reed-solomon-erasure", "weft-erasure"),
    ("metrics-exporter-prometheus", "weft-node"),
    ("jsonrpsee", "weft-rpc"),
    ("tower-http", "weft-rpc"),
    ("revm-inspectors", "weft-evm weft-rpc"),
    ("clap", "weft"),
    ("toml", "weft"),
    ("indicatif", "weft"),
    ("secp256k1", "weft"),
    ("reqwest", "weft-arweave"),
    ("rsa", "weft-arweave"),
    ("zstd-safe", "weft-archive"),
    ("tikv-jemallocator", "weft"),
    ("redb", "weft-arweave"),
    ("async-graphql", "weft-arweave"),
    ("libp2p", "weft-p2p"),
    ("yamux", "weft-p2p"),
];

/// Lines of a file before its tests.
const FILE_LINES_MAX: usize = 600;
/// Lines of a function; nearly all (98 %) are shorter than the first, none is longer than the second.
const FUNCTION_LINES_AIM: usize = 70;
const FUNCTION_LINES_MAX: usize = 110;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

fn metadata() -> Metadata {
    MetadataCommand::new().current_dir(root()).no_deps().exec().expect("cargo metadata")
}

fn ours(metadata: &Metadata) -> Vec<&Package> {
    metadata.workspace_packages()
}

/// Rust files of the repository with their paths from its root.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for top in ["bin", "chainspec", "crates", "benches", "tests", "fuzz/src", "fuzz/fuzz_targets"] {
        walk(&root().join(top), &mut found);
    }
    found.sort();
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).expect("inside").display().to_string();
            found.push((name, fs::read_to_string(&path).expect("utf-8")));
        }
    }
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/")
        || name.contains("/tests/")
        || name.contains("/tests.rs")
        || name.starts_with("benches/")
}

/// A file without its unit tests.
fn body(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().expect("split gives at least one")
}

#[test]
fn crates_use_each_other_along_the_arrows_only() {
    let direct: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    fn reach<'a>(from: &str, direct: &BTreeMap<&'a str, &'a [&'a str]>, seen: &mut BTreeSet<&'a str>) {
        for next in direct.get(from).copied().unwrap_or_default() {
            if seen.insert(next) {
                reach(next, direct, seen);
            }
        }
    }
    let mut wrong = Vec::new();
    let metadata = metadata();
    for package in ours(&metadata) {
        let name = package.name.as_str();
        assert!(direct.contains_key(name), "{name} is not in DESIGN.md's table");
        let mut allowed = BTreeSet::from(["weft-primitives"]);
        reach(name, &direct, &mut allowed);
        for dependency in
            package.dependencies.iter().filter(|dependency| direct.contains_key(dependency.name.as_str()))
        {
            if !allowed.contains(dependency.name.as_str()) {
                wrong.push(format!("{name} → {} ({:?})", dependency.name, dependency.kind));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that DESIGN.md does not have: {wrong:#?}");
}

#[test]
fn what_has_an_owner_is_used_by_its_owner_only() {
    let metadata = metadata();
    for (dependency, owners) in OWNERS {
        for package in ours(&metadata) {
            let uses = package
                .dependencies
                .iter()
                .any(|used| used.name == *dependency && used.kind == cargo_metadata::DependencyKind::Normal);
            let owns = owners.split(' ').any(|owner| owner == package.name.as_str());
            assert!(!uses || owns, "{} uses {dependency}, which belongs to {owners}", package.name);
        }
    }
}

#[test]
fn every_dependency_is_used_by_the_crate_that_names_it() {
    // Linked for a feature, a derive or an allocator, not by name.
    const UNNAMED: &[&str] = &[];
    let mut unused = Vec::new();
    let metadata = metadata();
    for package in ours(&metadata) {
        let folder = package.manifest_path.parent().expect("a folder");
        let mut files = Vec::new();
        walk(folder.as_std_path(), &mut files);
        if package.name.as_str() == "weft" {
            walk(&root().join("tests"), &mut files);
        }
        for dependency in &package.dependencies {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name).replace('-', "_");
            let named = |text: &str| {
                text.contains(&format!("{name}::"))
                    || text.contains(&format!("use {name}"))
                    || text.contains(&format!(" {name}\n"))
            };
            if !UNNAMED.contains(&name.as_str()) && !files.iter().any(|(_, text)| named(text)) {
                unused.push(format!("{}: {name}", package.name));
            }
        }
    }
    assert!(unused.is_empty(), "named in Cargo.toml and not used: {unused:#?}");
}

#[test]
fn files_and_functions_have_a_readable_size() {
    let (mut functions, mut long) = (0_usize, Vec::new());
    for (name, text) in sources().iter().filter(|(name, _)| !is_test(name)) {
        let lines: Vec<&str> = body(text).lines().collect();
        assert!(lines.len() <= FILE_LINES_MAX, "{name} has {} lines before its tests", lines.len());
        for (start, end) in function_spans(&lines) {
            functions += 1;
            let length = end - start + 1;
            assert!(length <= FUNCTION_LINES_MAX, "{name}:{}: a function of {length} lines", start + 1);
            if length > FUNCTION_LINES_AIM {
                long.push(format!("{name}:{}: {length} lines", start + 1));
            }
        }
    }
    assert!(long.len() * 50 <= functions, "more than 2 % of {functions} functions are long: {long:#?}");
}

/// First and last line of every function, by rustfmt's indentation.
fn function_spans(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let signature = code.split('(').next().unwrap_or_default();
        if !signature.split(' ').any(|word| word == "fn") || code.starts_with("//") || signature.contains('"')
        {
            continue;
        }
        let indent = &line[..line.len() - code.len()];
        let close = format!("{indent}}}");
        // A declaration without a body ends before any body could.
        let opens = lines[start..]
            .iter()
            .position(|line| line.ends_with('{') || line.ends_with(';') || line.ends_with('}'));
        let Some(opens) = opens.filter(|at| lines[start + at].ends_with('{')) else { continue };
        if let Some(length) = lines[start + opens..].iter().position(|line| *line == close) {
            spans.push((start, start + opens + length));
        }
    }
    spans
}

#[test]
fn spans_of_functions_are_found() {
    let text = "impl A {\n    fn one(\n        x: u8,\n    ) {\n        x\n    }\n    fn two();\n    fn three() { 1 }\n}\nfn four() {\n}\n";
    assert_eq!(function_spans(&text.lines().collect::<Vec<_>>()), [(1, 5), (9, 10)]);
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| {
            let first = text.lines().find(|line| !line.is_empty()).unwrap_or_default();
            !first.starts_with("//!") && !first.starts_with("#![doc")
        })
        .map(|(name, _)| name)
        .collect();
    assert!(silent.is_empty(), "without a module doc: {silent:#?}");
}

#[test]
fn nothing_is_left_to_be_done() {
    // Spelled in two parts, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!("),
        concat!("unimplemented", "!("),
        concat!("SKEL", "ETON"),
    ];
    for (name, text) in sources() {
        for mark in marks {
            assert!(!text.contains(mark), "{name} contains {mark}");
        }
        assert!(
            !text.contains(concat!("/wo", "rk/")) && !text.contains(concat!("/tmp/", "wt")),
            "{name} names a machine's folder"
        );
    }
}

#[test]
fn every_crate_has_its_readme() {
    let metadata = metadata();
    for package in ours(&metadata).into_iter().filter(|package| package.name.as_str().starts_with("weft-")) {
        let folder = package.manifest_path.parent().expect("a folder");
        if package.name.as_str() == "weft-benches" {
            continue;
        }
        let readme = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        assert!(
            readme.starts_with(&format!("# {}", package.name)),
            "{}: no README.md with its name",
            package.name
        );
        let library = fs::read_to_string(folder.join("src/lib.rs")).expect("a library");
        assert!(
            library.contains("include_str!(\"../README.md\")"),
            "{}: the README is not the crate doc",
            package.name
        );
    }
}

/// Lines of fenced code blocks in a document.
fn code_lines(document: &str) -> Vec<String> {
    let text =
        fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"));
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            lines.push(line.trim().trim_start_matches("$ ").to_owned());
        }
    }
    lines
}

#[test]
fn documented_commands_exist() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("Makefile");
    let mut seen = 0;
    for document in [
        "README.md",
        "docs/operators.md",
        "docs/permanence.md",
        "docs/publishers.md",
        "docs/developers.md",
        "docs/configuration.md",
    ] {
        for line in code_lines(document) {
            let words: Vec<&str> = line.split_whitespace().take_while(|word| *word != "#").collect();
            match words[..] {
                ["make", target, ..] => {
                    assert!(
                        makefile.contains(&format!("\n{target}: ")),
                        "{document}: there is no `make {target}`"
                    );
                    seen += 1;
                }
                ["weft", ..] => {
                    check_usage(document, &words[1..]);
                    seen += 1;
                }
                _ => {}
            }
        }
    }
    assert!(seen > 20, "only {seen} commands were found");
}

/// Every subcommand and flag of a documented line is in the help of the command, or of one above it.
fn check_usage(document: &str, words: &[&str]) {
    let is_name = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase());
    let subcommands: Vec<&str> = words.iter().copied().take_while(is_name).take(3).collect();
    let mut help = String::new();
    for depth in 1..=subcommands.len() {
        let output = Command::new(env!("CARGO_BIN_EXE_weft"))
            .args(&subcommands[..depth])
            .arg("--help")
            .output()
            .expect("runs");
        assert!(output.status.success(), "{document}: weft {}", words.join(" "));
        help.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    for flag in words.iter().filter(|word| word.starts_with("--") && word.len() > 2) {
        let flag = flag.split('=').next().expect("split gives at least one");
        assert!(help.contains(flag), "{document}: weft {} has no {flag}", subcommands.join(" "));
    }
}

#[test]
fn the_configuration_reference_is_what_the_binary_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["config", "--dev"])
        .env_clear()
        .output()
        .expect("runs");
    let printed = String::from_utf8(output.stdout).expect("text");
    let reference = fs::read_to_string(root().join("docs/configuration.md")).expect("docs/configuration.md");
    let documented =
        reference.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a toml block");
    assert_eq!(documented, printed, "run `weft config --dev` and put its output into docs/configuration.md");
}

#[test]
fn the_licences_are_there() {
    for (file, words) in [("LICENSE-MIT", "MIT License"), ("LICENSE-APACHE", "Apache License")] {
        assert!(fs::read_to_string(root().join(file)).is_ok_and(|text| text.contains(words)), "{file}");
    }
}

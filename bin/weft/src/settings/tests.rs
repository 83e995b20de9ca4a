//! What the sources say and which of them wins.

use super::{
    NodeArgs,
    file::{merge, parse, render, toml_name},
};
use clap::{Args, Command, FromArgMatches};
use std::{collections::BTreeSet, num::NonZeroU64};
use toml::Table;

fn flags(arguments: &[&str]) -> NodeArgs {
    let command = NodeArgs::augment_args(Command::new("node").no_binary_name(true));
    NodeArgs::from_arg_matches(&command.try_get_matches_from(arguments).expect("valid flags"))
        .expect("filled")
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let file = parse("http.port = 1\nhttp.addr = '0.0.0.0'\n[rpc]\ngascap = 7").expect("valid file");
    let merged =
        merge(&flags(&["--http.port", "2"]), &merge(&file, &NodeArgs::defaults(false)).expect("merge"))
            .expect("merge");
    assert_eq!(merged.http_port, Some(2), "flag");
    assert_eq!(merged.http_addr, Some([0, 0, 0, 0].into()), "file");
    assert_eq!(merged.rpc_gascap, Some(7), "file, as a table");
    assert_eq!(merged.txpool_pricebump, Some(10), "default");
}

#[test]
fn a_switch_can_be_turned_off_by_flag() {
    assert_eq!(flags(&["--http"]).http, Some(true));
    assert_eq!(flags(&["--http=false"]).http, Some(false));
    assert_eq!(flags(&[]).http, None);
}

#[test]
fn an_unknown_or_repeated_name_is_refused_by_name() {
    for (text, name) in
        [("http.prot = 1", "http.prot"), ("[htp]\nport = 1", "htp.port"), ("colour = 'red'", "colour")]
    {
        let error = format!("{:#}", parse(text).expect_err(text));
        assert!(error.contains(name), "{error}");
    }
    let twice = format!("{:#}", parse("'http.port' = 1\n[http]\nport = 2").expect_err("twice"));
    assert!(twice.contains("`http.port` is given twice"), "{twice}");
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    for text in ["http.port = 'many'", "http.port = 70000", "dev.block-time = 'soon'", "http.api = 'eth'"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_config_prints_is_read_back_as_the_same_settings() {
    for dev in [false, true] {
        let mut settings = NodeArgs::defaults(dev);
        settings.dev_block_time = Some("2s".parse().expect("duration"));
        let text = render(&settings).expect("renders");
        assert_eq!(parse(&text).expect("parses"), settings, "{text}");
    }
}

#[test]
fn flag_file_and_environment_names_agree() {
    let command = NodeArgs::augment_args(Command::new("node"));
    let mut names = BTreeSet::new();
    for argument in command.get_arguments() {
        let flag = argument.get_long().expect("only long flags");
        let variable = argument.get_env().and_then(|name| name.to_str()).expect("a variable");
        assert_eq!(variable, format!("WEFT_{}", flag.to_uppercase().replace(['.', '-'], "_")));
        assert!(argument.get_help().is_some(), "--{flag} has no help");
        names.insert(toml_name(flag));
    }
    // A settings struct with everything set has exactly these names.
    let every = NodeArgs {
        datadir: Some("d".into()),
        dev_block_time: Some("1s".parse().expect("duration")),
        p2p_sealers: Some(vec!["a".into()]),
        p2p_peers: Some(vec!["a".into()]),
        p2p_bootnodes: Some(vec!["a".into()]),
        p2p_identity: Some("k".into()),
        builder_gaslimit: Some(1),
        ws_addr: Some([127, 0, 0, 1].into()),
        ws_port: Some(1),
        txpool_admission_threads: Some(1),
        arweave_gateway: Some(vec!["http://127.0.0.1".into()]),
        arweave_bundler: Some("http://127.0.0.1".into()),
        arweave_bundler_payment: Some("http://127.0.0.1".into()),
        arweave_wallet: Some("w".into()),
        arweave_passphrase_file: Some("p".into()),
        arweave_max_spend: Some("1AR".parse().expect("amount")),
        arweave_max_spend_per_hour: Some("1AR".parse().expect("amount")),
        arweave_max_price: Some("1AR".parse().expect("amount")),
        arweave_confirmations: NonZeroU64::new(1),
        arweave_ar_price_usd: Some(1.0),
        ..NodeArgs::defaults(true)
    };
    let keys: BTreeSet<String> = Table::try_from(&every).expect("table").keys().cloned().collect();
    assert_eq!(keys, names);
}

//! GraphQL: filters, order and pages against a model, and queries that ask too much.

use crate::support::{Net, data, item, tag};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use weft_arweave::{Bundle, DataItem, bundle};

/// Everything that a query finds, page by page; asserts that no page is larger than asked and none but the last smaller.
async fn pages(net: &Net, arguments: &str, page: usize) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let query = format!(
            r#"{{ transactions({arguments}, first: {page}, after: "{after}") {{ pageInfo {{ hasNextPage }} edges {{ cursor node {{ id }} }} }} }}"#
        );
        let mut answer = net.web.query(&query).await;
        let answer = answer["transactions"].take();
        let edges = answer["edges"].as_array().expect("edges");
        for edge in edges {
            found.push(edge["node"]["id"].as_str().expect("an id").to_owned());
        }
        let more = answer["pageInfo"]["hasNextPage"].as_bool().expect("a page");
        if !more {
            assert!(edges.len() <= page);
            return found;
        }
        assert_eq!(edges.len(), page);
        after = edges[page - 1]["cursor"].as_str().expect("a cursor").to_owned();
    }
}

fn ids(items: &[DataItem], which: impl Fn(usize) -> bool) -> BTreeSet<String> {
    (0..items.len()).filter(|at| which(*at)).map(|at| items[at].id().to_string()).collect()
}

#[tokio::test]
async fn filters_and_pages_find_what_a_model_finds() {
    let net = Net::start().await;
    let items: Vec<DataItem> = (0..40_usize)
        .map(|at| {
            let mut tags = vec![tag("Two", &(at % 2).to_string()), tag("Three", &(at % 3).to_string())];
            // A tag twice, with two values that one query may ask for together.
            tags.extend((at % 5 == 0).then(|| tag("Three", "extra")));
            item(tags, data(10, at as u8))
        })
        .collect();
    // Ten in each of three blocks, ten that wait.
    let mut carriers = Vec::new();
    for (at, part) in items.chunks(10).enumerate() {
        let bytes = Bundle::new(part.to_vec()).unwrap().to_bytes();
        carriers.push(net.publish(bytes, bundle::tags()).await.to_string());
        if at < 3 {
            net.mine().await;
        }
    }
    let set = |found: &[String]| found.iter().cloned().collect::<BTreeSet<_>>();
    let two = r#"{name: "Two", values: ["1"]}"#;
    let three = r#"{name: "Three", values: ["0", "extra"]}"#;
    for (arguments, expected) in [
        (format!("tags: [{two}]"), ids(&items, |at| at % 2 == 1)),
        (format!("tags: [{three}]"), ids(&items, |at| at % 3 == 0 || at % 5 == 0)),
        (format!("tags: [{two}, {three}]"), ids(&items, |at| at % 2 == 1 && (at % 3 == 0 || at % 5 == 0))),
        (
            format!(r#"tags: [{two}, {{name: "Three", values: ["0"], op: NEQ}}]"#),
            ids(&items, |at| at % 2 == 1 && at % 3 != 0),
        ),
        (format!("tags: [{two}], block: {{min: 2, max: 2}}"), ids(&items, |at| at / 10 == 1 && at % 2 == 1)),
        (
            format!("tags: [{two}], block: {{min: 2}}"),
            ids(&items, |at| [1, 2].contains(&(at / 10)) && at % 2 == 1),
        ),
        (
            format!(r#"bundledIn: ["{}"], tags: [{two}]"#, carriers[3]),
            ids(&items, |at| at / 10 == 3 && at % 2 == 1),
        ),
        (
            format!(r#"ids: ["{}", "{}"], tags: []"#, items[7].id(), items[33].id()),
            ids(&items, |at| at == 7 || at == 33),
        ),
        (format!(r#"owners: ["{}"]"#, items[0].header().address()), ids(&items, |_| true)),
        (format!(r#"owners: ["{}"]"#, net.address()), carriers.iter().cloned().collect()),
        (r#"tags: [{name: "Two", values: ["7"]}]"#.to_owned(), BTreeSet::new()),
        (r#"tags: [{name: "Two", values: []}]"#.to_owned(), BTreeSet::new()),
        (r#"block: {min: 5, max: 4}"#.to_owned(), BTreeSet::new()),
    ] {
        for page in [1, 7, 100] {
            for sort in ["HEIGHT_ASC", "HEIGHT_DESC"] {
                let found = pages(&net, &format!("{arguments}, sort: {sort}"), page).await;
                assert_eq!(set(&found), expected, "{arguments} {sort} {page}");
                assert_eq!(found.len(), expected.len(), "{arguments}: something twice");
            }
        }
    }
    let ascending = pages(&net, "sort: HEIGHT_ASC", 9).await;
    let mut descending = pages(&net, "sort: HEIGHT_DESC", 9).await;
    descending.reverse();
    assert_eq!(ascending, descending);
    // Oldest block first, each transaction before its items, what waits at the end.
    let expected: Vec<String> = carriers
        .iter()
        .zip(items.chunks(10))
        .flat_map(|(carrier, part)| {
            std::iter::once(carrier.clone()).chain(part.iter().map(|item| item.id().to_string()))
        })
        .collect();
    assert_eq!(ascending, expected);
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_node_has_the_fields_of_other_gateways() {
    let net = Net::start().await;
    let id = net.publish(data(100, 1), vec![tag("Content-Type", "text/plain"), tag("A", "b")]).await;
    net.mine().await;
    let query = "query($id: ID!) { transaction(id: $id) { id anchor recipient owner { address } \
        fee { winston ar } quantity { winston } data { size type } tags { name value } \
        block { id height timestamp previous } bundledIn { id } ...more } } \
        fragment more on Transaction { owner { key } signature __typename }";
    let body = json!({ "query": query, "variables": { "id": id } }).to_string();
    let answer = net.web.post("/graphql", body).await.json();
    let node = &answer["data"]["transaction"];
    assert_eq!(node["id"], json!(id), "{answer}");
    assert_eq!(node["owner"]["address"], json!(net.address()));
    assert_eq!(node["data"], json!({ "size": "100", "type": "text/plain" }));
    assert_eq!(node["tags"][1], json!({ "name": "A", "value": "b" }));
    assert_eq!(node["fee"], json!({ "winston": "1001000000", "ar": "0.001001000000" }));
    assert_eq!(node["bundledIn"], Value::Null);
    assert_eq!(node["__typename"], "Transaction");
    let block = net.web.get("/block/height/1").await.json();
    assert_eq!(node["block"]["id"], block["indep_hash"]);
    assert_eq!(node["block"]["previous"], block["previous_block"]);
    assert_eq!(node["block"]["timestamp"], block["timestamp"]);
    net.gateway.mine(4).await.unwrap();
    let blocks = net.web.query("{ blocks(height: {min: 2}, first: 3, sort: HEIGHT_ASC) { pageInfo { hasNextPage } edges { cursor node { height } } } }").await;
    let heights: Vec<_> = blocks["blocks"]["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| edge["node"]["height"].clone())
        .collect();
    assert_eq!(heights, [2, 3, 4]);
    assert_eq!(blocks["blocks"]["pageInfo"]["hasNextPage"], true);
    let cursor = blocks["blocks"]["edges"][2]["cursor"].as_str().unwrap();
    let rest = net
        .web
        .query(&format!(
            r#"{{ blocks(after: "{cursor}", sort: HEIGHT_ASC) {{ edges {{ node {{ height }} }} }} }}"#
        ))
        .await;
    assert_eq!(rest["blocks"]["edges"], json!([{ "node": { "height": 5 } }]));
    let one = net.web.query(&format!(r#"{{ block(id: {}) {{ height }} }}"#, block["indep_hash"])).await;
    assert_eq!(one["block"]["height"], 1);
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_query_that_is_wrong_or_asks_too_much_gets_an_error() {
    let net = Net::with(|config| config.limits.scan = 5).await;
    for seed in 0..8 {
        net.publish(data(10, seed), vec![tag("Same", "same")]).await;
    }
    let deep = format!("{}{}", "{a".repeat(80_000), "}".repeat(80_000));
    let wide = format!(
        "{{ {} }}",
        (0..200)
            .map(|at| format!("a{at}: transactions {{ pageInfo {{ hasNextPage }} }} "))
            .collect::<String>()
    );
    let values = (0..1_001).map(|at| format!("\"{at}\",")).collect::<String>();
    let looping = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }".to_owned();
    for query in [
        String::new(),
        "{".to_owned(),
        "{ nonsense }".to_owned(),
        "{ transactions { edges { node { nonsense } } } }".to_owned(),
        "mutation { transactions }".to_owned(),
        r#"{ transactions(ids: ["short"]) { edges { cursor } } }"#.to_owned(),
        r#"{ transactions(after: "nonsense") { edges { cursor } } }"#.to_owned(),
        r#"{ transactions(first: -1) { edges { cursor } } }"#.to_owned(),
        format!(r#"{{ transactions(tags: [{{name: "a", values: [{values}]}}]) {{ edges {{ cursor }} }} }}"#),
        // Looks at all eight and finds none.
        r#"{ transactions(tags: [{name: "Same", values: ["same"]}, {name: "Same", values: ["same"], op: NEQ}]) { edges { cursor } } }"#.to_owned(),
        looping,
        deep,
        wide,
    ] {
        let answer = net.web.post("/graphql", json!({ "query": query }).to_string()).await;
        let shown: String = query.chars().take(80).collect();
        assert_eq!(answer.status, 200, "{shown}");
        assert!(answer.json()["errors"][0]["message"].is_string(), "{shown}: {answer:?}");
    }
    for body in ["", "5", "{}{", "{\"query\": 5}"] {
        assert_eq!(net.web.post("/graphql", body.to_owned()).await.status, 400, "{body}");
    }
    assert_eq!(net.web.post("/graphql", vec![b' '; 300_000]).await.status, 413);
    net.gateway.stop().await;
}

//! Methods of many runs, beside others.

use std::fs;

use serde_json::Value;

use crate::desk::{Desk, Ran};

const METHODS: [&str; 4] = ["rise", "grad-cam++", "ablation-cam", "smooth-grad"];

fn explain(desk: &Desk, folder: &str, class: &str, seed: &str) -> Ran {
    let methods = METHODS.join(",");
    let arguments = ["a.png", "--json", "--save", "map", "--method", &methods, "--samples", "12"];
    desk.explain(&[&arguments[..], &["-o", folder, "--class", class, "--seed", seed]].concat()).well()
}

/// Files are named after the methods, in whose order they come; a seed decides what is drawn, and nothing else.
#[test]
fn in_the_order_asked_for_and_drawn_from_the_seed() {
    let desk = Desk::with(&["a.png"]);
    let ran = explain(&desk, "one", "0,4", "3");
    let line = ran.json().remove(0);
    let explanations = line["explanations"].as_array().unwrap();
    let order = |e: &Value| (e["class"].as_u64().unwrap(), e["method"].as_str().unwrap().to_owned());
    let expected: Vec<_> = [0, 4].iter().flat_map(|c| METHODS.map(|m| (*c, m.to_owned()))).collect();
    assert_eq!(explanations.iter().map(order).collect::<Vec<_>>(), expected);
    for explanation in explanations {
        let (class, method) = order(explanation);
        let drawn = explanation["notes"].as_array().unwrap().iter().any(|n| n == "drawn from seed 3");
        assert_eq!(drawn, ["rise", "smooth-grad"].contains(&&*method), "{explanation}");
        assert!(desk.path(format!("one/a.class{class}.{method}.map.npy")).is_file(), "{explanation}");
    }
    assert!(ran.err.contains("rise: drawn from seed 3"), "{ran:?}");

    explain(&desk, "again", "0,4", "3");
    explain(&desk, "other", "0,4", "4");
    explain(&desk, "alone", "4", "3");
    let map = |folder: &str, class: &str, method: &str| {
        fs::read(desk.path(format!("{folder}/a{class}.{method}.map.npy"))).unwrap()
    };
    for method in METHODS {
        let one = map("one", ".class4", method);
        assert!(one == map("again", ".class4", method), "{method} is the same again");
        let drawn = ["rise", "smooth-grad"].contains(&method);
        assert_eq!(one != map("other", ".class4", method), drawn, "{method}: another seed");
        // Grad-CAM++ of one class runs whole, which rounds otherwise.
        assert!(method == "grad-cam++" || one == map("alone", "", method), "{method}: class 4 alone");
    }
}

#[test]
fn an_average_of_nothing_is_refused() {
    let desk = Desk::with(&["a.png"]);
    for count in ["0", "-1", "many"] {
        let ran = desk.explain(&["a.png", "--method", "rise", &format!("--samples={count}")]);
        assert_eq!(ran.status, Some(2), "{ran:?}");
        let expected = "an average is over 1 sample or more; without --samples each method takes its own number";
        assert!(ran.err.contains(expected), "{ran:?}");
    }
}

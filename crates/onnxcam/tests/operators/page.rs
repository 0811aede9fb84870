//! `docs/operators.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use onnx_autodiff::{RULES, Rule};
use testkit::Case;
use testkit::conformance::{StandardOperator, function_bodies, left_out, standard_operators};

use crate::exclusions::{At, EXCLUSIONS, exclusion};
use crate::reading::{Read, readings};
use crate::{OPERATORS, Tried};

/// Operators that the ONNX project has no case of which we read, and what tests them.
pub const WITHOUT_A_CASE: &[(&str, &str)] = &[
    ("Affine", EXPERIMENTAL),
    ("Crop", EXPERIMENTAL),
    ("GlobalLpPool", "`crates/testkit/tests/formulas.rs`"),
    ("ImageScaler", EXPERIMENTAL),
    ("ParametricSoftplus", EXPERIMENTAL),
    ("Scale", EXPERIMENTAL),
    ("ScaledTanh", EXPERIMENTAL),
];

const EXPERIMENTAL: &str =
    "experimental in opsets below 7; `experimental_operators` in `crates/testkit/tests/lowering.rs`";

const WRITE: &str = "ONNXCAM_WRITE_PAGES";

const HEAD: &str = include_str!("head.md");

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators.md")
}

/// Compares the page with the committed one; with `ONNXCAM_WRITE_PAGES=1` in the environment writes it.
pub fn check(page: &str) {
    if std::env::var_os(WRITE).is_some_and(|v| v == "1") {
        std::fs::write(path(), page).unwrap();
    }
    let committed = std::fs::read_to_string(path()).unwrap_or_default().replace("\r\n", "\n");
    let differs = page.lines().zip(committed.lines()).find(|(a, b)| a != b);
    assert!(
        page == committed,
        "docs/operators.md is out of date: {differs:?}\n\
         hint: `{WRITE}=1 cargo test -p onnxcam --test operators page` writes it"
    );
}

/// The whole page.
pub fn page() -> String {
    let reasons = Reasons::collect();
    let history: BTreeMap<String, StandardOperator> =
        standard_operators().into_iter().map(|o| (o.name.clone(), o)).collect();
    let mut page = HEAD.to_owned();
    let mut sum = [0; 7];
    for (name, cases) in OPERATORS.iter().filter(|(name, _)| history.contains_key(**name)) {
        let row = Row::of(name, cases, &reasons);
        let opsets = opsets(&history[*name]);
        let counted = [row.total, row.read, row.evaluator, row.rten, row.ort, row.vjp.0, row.vjp.1];
        sum.iter_mut().zip(counted).for_each(|(sum, n)| *sum += n);
        let how = differentiated(name, cases);
        writeln!(page, "| {name} | {opsets} | {how} | {} | {} |", row.cells(), row.notes.join(", ")).unwrap();
    }
    let [total, read, evaluator, rten, ort, vjp, floats] = sum;
    let (bodies, understood) =
        (OPERATORS.keys().map(|name| function_bodies(name).len()).sum::<usize>(), understood_bodies().len());
    writeln!(
        page,
        "| **all** | | | {total} | {read} | {evaluator} | {rten} | {ort} | {vjp} of {floats} | |\n\n\
         Some of these operators the standard defines by a function. Of {bodies} cases with its body in the operator's place, \
         {understood} are understood whole, and are computed as by the operator.\n\n\
         ## What does not pass, and why\n\n| | where | cases | reason |\n|---|---|---|---|"
    )
    .unwrap();
    for (i, Reason { at, cases, reason }) in reasons.0.iter().enumerate() {
        writeln!(page, "| {} | {} | {} | {reason} |", i + 1, at.join(", "), shown(cases)).unwrap();
    }
    page.push_str(&without(&history));
    page
}

/// The function bodies of operators that are read of which every node is understood.
pub fn understood_bodies() -> Vec<(Case, Vec<Read>)> {
    let bodies = OPERATORS.keys().flat_map(|name| function_bodies(name));
    bodies.filter_map(|case| readings(&case).ok().map(|read| (case, read))).collect()
}

/// The opsets in which files may use an operator, and those that changed it.
fn opsets(operator: &StandardOperator) -> String {
    let first = operator.changed[0].max(*onnx_graph::OPSETS.start());
    let last = operator.ended.map_or(*onnx_graph::OPSETS.end(), |ended| ended - 1);
    let changed: Vec<String> = operator.changed[1..].iter().filter(|c| **c <= last).map(i64::to_string).collect();
    let span = if first == last { first.to_string() } else { format!("{first}–{last}") };
    if changed.is_empty() { span } else { format!("{span} ({})", changed.join(", ")) }
}

/// What stands behind an operator in the canonical view of its cases.
fn differentiated(name: &str, cases: &[Tried]) -> String {
    let graphs = cases.iter().filter_map(|tried| tried.read.first()).map(|read| &read.graph);
    let made: BTreeSet<String> = graphs.flat_map(|g| g.nodes().iter().map(|n| n.op.to_string())).collect();
    let state = |op: &str| RULES.iter().find(|(known, _)| *known == op).map(|(_, rule)| rule);
    let others: Vec<&str> = made.iter().map(String::as_str).filter(|op| *op != name).collect();
    let alone = made.contains(name) && others.is_empty();
    match state(name) {
        Some(Rule::Vjp(_)) if made.contains(name) && !alone => return format!("rule, with {}", others.join(", ")),
        Some(Rule::Vjp(_)) if alone => return "rule".to_owned(),
        Some(Rule::Zero) if alone => return "zero".to_owned(),
        _ if made.is_empty() => return "known when the file is read, or its input".to_owned(),
        _ => {}
    }
    let parts = made.iter().map(|op| match state(op) {
        Some(Rule::Zero) => format!("{op} (zero)"),
        _ => op.clone(),
    });
    format!("formula of {}", parts.collect::<Vec<_>>().join(", "))
}

/// An operator's counts.
struct Row {
    total: usize,
    read: usize,
    evaluator: usize,
    rten: usize,
    ort: usize,
    /// Of how many.
    vjp: (usize, usize),
    notes: Vec<String>,
}

impl Row {
    fn of(name: &str, cases: &[Tried], reasons: &Reasons) -> Row {
        let read: Vec<&Tried> = cases.iter().filter(|tried| !tried.read.is_empty()).collect();
        let passed = |at| read.iter().filter(|tried| exclusion(at, &tried.case.name).is_none()).count();
        let floats: Vec<_> = read.iter().filter(|tried| tried.differentiable().next().is_some()).collect();
        let vjp = floats.iter().filter(|tried| exclusion(At::Vjp, &tried.case.name).is_none()).count();
        let left = left_out().into_iter().filter(|l| l.operator == name).count();
        Row {
            total: cases.len() + left,
            read: read.len(),
            evaluator: passed(At::Evaluator),
            rten: passed(At::Rten),
            ort: passed(At::Ort),
            vjp: (vjp, floats.len()),
            notes: reasons.numbers(name),
        }
    }

    fn cells(&self) -> String {
        let vjp = match self.vjp {
            (_, 0) => "–".to_owned(),
            (passed, all) if passed == all => all.to_string(),
            (passed, all) => format!("{passed} of {all}"),
        };
        format!("{} | {} | {} | {} | {} | {vjp}", self.total, self.read, self.evaluator, self.rten, self.ort)
    }
}

/// Cases, as operator and name.
type Cases = BTreeSet<(String, String)>;

/// Why cases are not among those that pass.
struct Reason {
    at: Vec<&'static str>,
    cases: Cases,
    reason: String,
}

struct Reasons(Vec<Reason>);

impl Reasons {
    fn collect() -> Reasons {
        let mut reasons = Reasons(Vec::new());
        for out in left_out().into_iter().filter(|l| OPERATORS.contains_key(l.operator.as_str())) {
            let known = reasons.0.iter_mut().find(|known| known.reason == out.reason);
            let case = (out.operator, out.case);
            match known {
                Some(known) => drop(known.cases.insert(case)),
                None => {
                    reasons.0.push(Reason { at: vec!["not in the archives"], cases: [case].into(), reason: out.reason })
                }
            }
        }
        let tried =
            || OPERATORS.iter().flat_map(|(name, cases)| cases.iter().map(move |t| (*name, t.case.name.as_str())));
        for listed in EXCLUSIONS {
            let meant = |case: &str| exclusion(listed.at, case).is_some_and(|found| std::ptr::eq(found, listed));
            let cases = tried().filter(|(_, case)| meant(case)).map(|(of, case)| (of.to_owned(), case.to_owned()));
            let cases: Cases = cases.collect();
            match reasons.0.iter_mut().find(|known| known.reason == listed.reason && known.cases == cases) {
                Some(known) => known.at.push(listed.at.name()),
                None => reasons.0.push(Reason { at: vec![listed.at.name()], cases, reason: listed.reason.to_owned() }),
            }
        }
        reasons
    }

    /// The numbers of those that concern an operator.
    fn numbers(&self, operator: &str) -> Vec<String> {
        let concerns = |reason: &Reason| reason.cases.iter().any(|(of, _)| of == operator);
        let numbered = self.0.iter().enumerate().filter(|(_, reason)| concerns(reason));
        numbered.map(|(i, _)| (i + 1).to_string()).collect()
    }
}

/// A few names, else how many of which operators.
fn shown(cases: &Cases) -> String {
    const FEW: usize = 4;
    if cases.len() <= FEW {
        return cases.iter().map(|(_, case)| format!("`{case}`")).collect::<Vec<_>>().join(", ");
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    cases.iter().for_each(|(operator, _)| *counts.entry(operator).or_default() += 1);
    let counted: Vec<String> = counts.iter().map(|(operator, n)| format!("{n} of {operator}")).collect();
    counted.join(", ")
}

/// Operators without a case of the ONNX project, and operators that are not read.
fn without(history: &BTreeMap<String, StandardOperator>) -> String {
    let mut text = "\n## Read, without a case of the ONNX project\n\n".to_owned();
    for (name, tests) in WITHOUT_A_CASE {
        writeln!(text, "- {name}: {tests}").unwrap();
    }
    let foreign: Vec<&str> =
        onnx_graph::operators().filter(|(domain, _)| !domain.is_empty()).map(|(_, name)| name).collect();
    writeln!(text, "- {} of ONNX Runtime's domain `com.microsoft`: `crates/testkit/tests/vendor`", foreign.join(", "))
        .unwrap();
    let unread: Vec<&str> = history.keys().map(String::as_str).filter(|n| !OPERATORS.contains_key(n)).collect();
    write!(
        text,
        "\n## Not read\n\n{} of the standard's {} operators: {}.\n",
        unread.len(),
        history.len(),
        unread.join(", ")
    )
    .unwrap();
    text
}

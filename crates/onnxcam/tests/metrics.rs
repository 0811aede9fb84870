//! Measures against their definitions, written out in Python (`references/make_metrics.py`), on 200 seeded cases: empty and
//! full masks, equal values, boxes twice, between pixels, beyond the border and out of sight.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{Array1, ArrayD, Axis, Ix2};
use onnxcam::metric::statistics::{mean_interval, sign_test, wilcoxon};
use onnxcam::metric::{
    Below, Mask, Outcome, Region, coherency, compare, drop_share, energy_inside, gini, increases,
    intersection_over_union, largest_box_ious, localisation, points_at,
};
use onnxcam::picture::Rectangle;
use testkit::npz;

const DELTAS: [f32; 3] = [0.0, 0.25, 0.5];
const SEED: u64 = 7;

struct Cases(BTreeMap<String, ArrayD<f64>>);

impl Cases {
    fn read() -> Cases {
        Cases(npz(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metrics.npz")))
    }

    fn count(&self) -> usize {
        self.0["masks"].len_of(Axis(0))
    }

    fn mask(&self, i: usize) -> Mask {
        let mask = self.0["masks"].index_axis(Axis(0), i).mapv(|v| v as f32);
        Mask::from_values(mask.into_dimensionality::<Ix2>().unwrap())
    }

    fn region(&self, i: usize) -> Region {
        let boxes = self.0["boxes"].index_axis(Axis(0), i).into_dimensionality::<Ix2>().unwrap();
        let rectangle = |b: ndarray::ArrayView1<f64>| Rectangle { left: b[0], top: b[1], right: b[2], bottom: b[3] };
        Region::of(&boxes.outer_iter().map(rectangle).collect::<Vec<_>>(), self.mask(i).values().dim())
    }

    fn confidences(&self, i: usize) -> (f64, f64, f64) {
        (self.0["plain"][[i]], self.0["masked"][[i, 0]], self.0["masked"][[i, 1]])
    }

    /// What is found of each case is what the script found; NaN there is `None` here.
    fn agree(&self, key: &str, of: impl Fn(usize) -> Option<f64>) {
        let expected = &self.0[key];
        assert_eq!(expected.len(), self.count());
        let mut taken = 0;
        for (i, expected) in expected.iter().enumerate() {
            match of(i) {
                Some(found) => assert!((found - expected).abs() < 1e-12, "{key} of case {i}: {found}, not {expected}"),
                None => assert!(expected.is_nan(), "{key} of case {i}: nothing, not {expected}"),
            }
            taken += usize::from(!expected.is_nan());
        }
        assert!(taken >= 150, "{key}: {taken} cases");
    }
}

#[test]
fn of_masks_and_boxes() {
    let cases = Cases::read();
    assert_eq!(cases.count(), 200);
    for (d, delta) in DELTAS.into_iter().enumerate() {
        let column = |key: &str| (key.to_owned(), cases.0[key].index_axis(Axis(1), d).to_owned());
        let of_delta = Cases(cases.0.clone().into_iter().chain([column("localisation"), column("iou")]).collect());
        of_delta.agree("localisation", |i| localisation(&cases.mask(i), &cases.region(i), delta));
        of_delta.agree("iou", |i| intersection_over_union(&cases.mask(i), &cases.region(i), delta));
    }
    cases.agree("pointing", |i| points_at(&cases.mask(i), &cases.region(i), 1.5).map(|hit| f64::from(u8::from(hit))));
    cases.agree("energy", |i| energy_inside(&cases.mask(i), &cases.region(i)));
    cases.agree("box_accuracy", |i| {
        largest_box_ious(&cases.mask(i), &cases.region(i)).map(|ious| Array1::from(ious).mean().unwrap())
    });
}

#[test]
fn of_masks_alone() {
    let cases = Cases::read();
    cases.agree("gini", |i| Some(gini(&cases.mask(i))));
    cases.agree("coherency", |i| coherency(&cases.mask(i), &cases.mask((i + 1) % cases.count())));
}

#[test]
fn of_confidences() {
    let cases = Cases::read();
    cases.agree("drop", |i| drop_share(cases.confidences(i).0, cases.confidences(i).1, Below::Zero));
    cases.agree("increase", |i| {
        increases(cases.confidences(i).0, cases.confidences(i).1).map(|more| f64::from(u8::from(more)))
    });
    cases.agree("win", |i| {
        let (plain, first, second) = cases.confidences(i);
        compare(plain, first, second, Below::Signed).map(|outcome| match outcome {
            Outcome::Win => 1.0,
            Outcome::Loss => -1.0,
            Outcome::Tie => 0.0,
        })
    });
}

#[test]
fn of_many_images() {
    let cases = Cases::read();
    let drops: Vec<f64> = cases.0["drop"].iter().copied().collect();
    for (key, units) in [("drop_interval", cases.count()), ("drop_interval_of_units", 12)] {
        let units: Vec<usize> = (0..cases.count()).map(|i| i % units).collect();
        let found = mean_interval(&drops, &units, SEED).unwrap();
        for (found, expected) in [found.low, found.high].iter().zip(&cases.0[key]) {
            assert!((found - expected).abs() < 1e-12, "{key}: {found}, not {expected}");
        }
    }
    let count = |which: f64| cases.0["win"].iter().filter(|win| **win == which).count();
    let near = |found: f64, key: &str| {
        let expected = cases.0[key][[]];
        assert!((found / expected - 1.0).abs() < 1e-9, "{key}: {found}, not {expected}");
    };
    near(sign_test(count(1.0), count(-1.0)), "sign_test");
    let ahead: Vec<f64> = (0..cases.count()).map(|i| cases.confidences(i).1 - cases.confidences(i).2).collect();
    near(wilcoxon(&ahead).unwrap(), "wilcoxon");
    let few: Vec<f64> = ahead.into_iter().filter(|d| *d != 0.0).take(30).collect();
    near(wilcoxon(&few).unwrap(), "wilcoxon_exact");
}

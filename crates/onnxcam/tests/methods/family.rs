//! The methods besides the paper's, by hand, and where their equations have an edge.

use std::sync::Arc;

use onnxcam::method::Method;
use onnxcam::target::Score;

use super::*;

/// A head of one linear layer on feature maps [2, 2, 2] that are the picture itself, of either sign: two classes, of which
/// the second has no gradient.
fn linear() -> Model {
    let columns: Vec<f32> = ROW.iter().flat_map(|w| [*w, 0.0]).collect();
    Maker::new(17)
        .input("x", "f32[N,2,2,2]")
        .floats("same", &[2, 1, 1, 1], &[1.0, 1.0])
        .node("Conv", &["x", "same"], &["features"])
        .with("group", 2)
        .node("Flatten", &["features"], &["flat"])
        .floats("w", &[8, 2], &columns)
        .node("MatMul", &["flat", "w"], &["logits"])
        .output("logits", "f32[N,2]")
        .model()
}

fn one(features: [f32; 8]) -> ArrayD<f32> {
    ArrayD::from_shape_vec(vec![1, 2, 2, 2], features.to_vec()).unwrap()
}

const ROW: [f32; 8] = [0.5, -0.25, 0.1, 2.0, -1.0, 0.3, -0.05, -4.0];

#[test]
fn by_hand() {
    // ΣA = 6 and 5.5.
    let found = |method, options| {
        agreed(&linear(), &[method], &options, &one([1.0, 2.0, 0.0, 3.0, 0.5, 0.0, 4.0, 1.0]), 0).remove(0)
    };
    let of_maps = |method, w0: f64, w1: f64| {
        let found = found(method, at("features"));
        close(found.weights[0].clone(), [w0, w1]);
        let map = [w0 + 0.5 * w1, 2.0 * w0, 4.0 * w1, 3.0 * w0 + w1];
        close(found.maps[0].clone(), map.map(|v| v.max(0.0)));
    };
    of_maps("grad-cam+", 2.6 / 4.0, 0.3 / 4.0);
    // α = 1 / (2 + g ΣA): 1/5, 1/0.5, 1/2.6, 1/14; −1/3.5, 1/3.65, 1/1.725, −1/20.
    let w0 = 0.5 / 5.0 - 0.25 / 0.5 + 0.1 / 2.6 + 2.0 / 14.0;
    of_maps("grad-cam++-no-relu", w0, 1.0 / 3.5 + 0.3 / 3.65 - 0.05 / 1.725 + 4.0 / 20.0);
    of_maps("xgrad-cam", (0.5 - 0.5 + 6.0) / 6.0, (-0.5 - 0.2 - 4.0) / 5.5);
    // Cell by cell; HiResCAM is signed in any case, and its sum is the score.
    for options in [at("features"), signed(at("features"))] {
        let hires = found("hirescam", options.clone());
        close(hires.maps[0].clone(), [0.0, -0.5, -0.2, 2.0]);
        close([hires.scores[0]], [1.3]);
        close(found("layercam", options.clone()).maps[0].clone(), [0.5, 0.0, 0.0, 6.0]);
        close(found("grad-cam-elementwise", options).maps[0].clone(), [0.5, 0.0, 0.0, 6.0]);
    }
}

/// Feature maps of either sign: what LayerCAM and element-wise Grad-CAM differ in, and denominators of 0.
#[test]
fn signed_features() {
    let names = ["layercam", "grad-cam-elementwise", "xgrad-cam", "grad-cam++-no-relu"];
    // ΣA = 0 and 2; 2 + g ΣA is 0 where the second channel's gradient is −1.
    let edge = one([1.0, -2.0, 0.0, 1.0, -1.0, -1.0, 3.0, 1.0]);
    let found = agreed(&linear(), &names, &signed(at("features")), &edge, 0).remove(0);
    close(found.maps[0].clone(), [0.5, -0.3, 0.0, 2.0]);
    close(found.maps[1].clone(), [0.5 + 1.0, 0.5, 0.0, 2.0]);
    // A sum of 0 has weight 0; the other is (1 − 0.3 − 0.15 − 4) / 2.
    close(found.weights[2].clone(), [0.0, -3.45 / 2.0]);
    // α = 1/2 for the first channel; 0, 1/2.6, 1/1.9, −1/6 for the second.
    let (w0, w1) = (2.35 / 2.0, 0.3 / 2.6 - 0.05 / 1.9 + 4.0 / 6.0);
    close(found.weights[3].clone(), [w0, w1]);
    close(found.maps[3].clone(), [w0 - w1, -2.0 * w0 - w1, 3.0 * w1, w0 + w1]);
    let said = [
        vec![],
        vec![],
        vec!["some feature maps sum to nearly 0, and their weights are very large".to_owned()],
        vec!["2 + g ΣA is nearly 0 in some cells, where α is very large".to_owned()],
    ];
    assert_eq!(found.notes, said);
    // Away from the edges nothing is said; nor of a channel of zeros.
    for plain in [[1.0, 2.0, 0.0, 1.0, -1.0, -1.0, 3.0, 0.5], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.5]] {
        let found = agreed(&linear(), &names, &at("features"), &one(plain), 0).remove(0);
        assert_eq!(found.notes, [const { Vec::<String>::new() }; 4], "{plain:?}");
    }
}

/// Feature maps u vᵀ of one direction: the map is |v| u, and its sign that of Σ v, whatever the class. With two, orthogonal ones, it
/// is the longer's.
#[test]
fn principal_directions() {
    let of = |names: &[&str], features, class| {
        agreed(&linear(), names, &signed(at("features")), &one(features), class).remove(0)
    };
    for (sign, v) in [(1.0, [3.0, 4.0]), (-1.0, [-3.0, -4.0]), (1.0, [4.0, -3.0]), (-1.0, [3.0, -4.0])] {
        let u = [1.0, 2.0, 0.0, 3.0];
        let features: Vec<f32> = v.iter().flat_map(|v| u.map(|u| u * v)).collect();
        for class in [0, 1] {
            let found = of(&["eigen-cam"], features.clone().try_into().unwrap(), class);
            close(found.weights[0].clone(), v.map(|v| sign * f64::from(v) / 5.0));
            close(found.maps[0].clone(), u.map(|u| sign * 5.0 * f64::from(u)));
        }
    }
    // Directions (3, 4)/5 and (4, −3)/5, cells (2, 0, 2, 1) and (0, 2, −1, 2): both of them orthogonal, the second shorter.
    let (long, short) = ([2.0, 0.0, 2.0, 1.0], [0.0, 1.0, -0.5, 1.0]);
    let channel = |a: f32, b: f32| (0..4).map(move |i| (a * long[i] + b * short[i]) / 5.0);
    let features: Vec<f32> = channel(3.0, 4.0).chain(channel(4.0, -3.0)).collect();
    let found = of(&["eigen-cam"], features.try_into().unwrap(), 0);
    close(found.weights[0].clone(), [0.6, 0.8]);
    close(found.maps[0].clone(), long.map(f64::from));
    // g A is of one direction where one channel has no feature map: then the map is HiResCAM's, its sign included.
    let lone = [0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 4.0, 1.0];
    let found = of(&["eigen-grad-cam", "hirescam"], lone, 0);
    close(found.maps[0].clone(), found.maps[1].iter().map(|v| f64::from(*v)));
    assert!(found.maps[1].iter().any(|v| *v < 0.0));
}

/// Cells m ± x in turn: with p = k(x, x) and q = k(x, −x), K̃ is ½ (p − q) s sᵀ for s = ±1, and the map s √(½ (p − q)). It is
/// 0 where all cells are equal.
#[test]
fn kernel_principal_components() {
    let of = |features| agreed(&linear(), &["kpca-cam"], &signed(at("features")), &one(features), 0).remove(0);
    // x = (2, −1), and x·x / K = 2.5; the feature maps' sums are 2.5 and 0.5.
    let length = (0.5 * (3.5f64.tanh() - (-1.5f64).tanh())).sqrt();
    let found = of([3.0, -1.0, 3.0, -1.0, -0.5, 1.5, -0.5, 1.5]);
    close(found.maps[0].clone(), [1.0, -1.0, 1.0, -1.0].map(|s| s * length));
    assert!(found.weights[0].is_empty());
    let found = of([-3.0, 1.0, -3.0, 1.0, 0.5, -1.5, 0.5, -1.5]);
    close(found.maps[0].clone(), [-1.0, 1.0, -1.0, 1.0].map(|s| s * length));
    close(of([0.5, 0.5, 0.5, 0.5, -2.0, -2.0, -2.0, -2.0]).maps[0].clone(), [0.0; 4]);
}

/// Of two classes the other is the only similar one, and Finer-CAM explains the difference; so it does against a class that is
/// named. A network of one score has none.
#[test]
fn similar_classes() {
    let x = one([1.0, 2.0, 0.0, 3.0, 0.5, 0.0, 4.0, 1.0]);
    for rival in [None, Some(onnxcam::explain::Rival::RunnerUp)] {
        for method in [find_variant("finer-cam", "paper").unwrap(), find_variant("finer-cam", "authors").unwrap()] {
            let options = PlanOptions { rival, ..signed(at("features")) };
            let plan = Plan::new(&linear(), &[method], &options).unwrap();
            for engine in engines() {
                for (class, sign) in [(0, 1.0), (1, -1.0)] {
                    let found = explain(&plan, &engine, &x, class).remove(0);
                    close(found.weights[0].clone(), [2.35, -4.75].map(|sum| sign * sum / 4.0));
                }
            }
        }
    }
    let one_score = Score::Emitted(Arc::new(|e, outputs| e.reduce("ReduceSum", outputs[0], &[1], false)));
    let mut options = at("features");
    options.head.score = Some(one_score);
    let error = Plan::new(&linear(), &[find_variant("finer-cam", "paper").unwrap()], &options).err().unwrap();
    assert_eq!(error.to_string(), "there is no rival to the only score: the network has 1 classes, counted from 0");
}

/// S = Σ_k v_k m_k³ with m_k the mean of A^k has g = 3 v m² / Z and H A = 6 v m² / Z in each cell: g − ½ H A is 0. For
/// S = Σ_k v_k m_k² it is half the gradient, and for a linear score the gradient.
#[test]
fn second_derivatives_by_hand() {
    let powers = |count: usize| {
        let mut net = Maker::new(17)
            .input("x", "f32[N,2,2,2]")
            .floats("same", &[2, 1, 1, 1], &[1.0, 1.0])
            .node("Conv", &["x", "same"], &["features"])
            .with("group", 2)
            .node("ReduceMean", &["features"], &["power1"])
            .with("axes", [2, 3])
            .with("keepdims", 0)
            .floats("w", &[2, 2], &[1.0, 0.0, -2.0, 0.0]);
        for i in 2..=count {
            net = net.node("Mul", &[&format!("power{}", i - 1), "power1"], &[&format!("power{i}")]);
        }
        net.node("MatMul", &[&format!("power{count}"), "w"], &["logits"]).output("logits", "f32[N,2]").model()
    };
    let x = one([1.0, 2.0, 0.0, 3.0, -0.5, 0.0, -4.0, 0.5]); // Means 3/2 and −1.
    let of = |count| agreed(&powers(count), &["shapley-cam", "grad-cam"], &signed(at("features")), &x, 0).remove(0);
    let [linear, square, cube] = [1, 2, 3].map(of);
    close(linear.weights[0].clone(), [0.25, -0.5]);
    close(square.weights[1].clone(), [2.0 * 1.5 / 4.0, 2.0 * 2.0 / 4.0]);
    close(square.weights[0].clone(), [1.5 / 4.0, 2.0 / 4.0]);
    close(cube.weights[1].clone(), [3.0 * 2.25 / 4.0, -3.0 * 2.0 / 4.0]);
    assert!(cube.weights[0].iter().all(|w| w.abs() < 1e-6), "{cube:?}");
    assert_eq!(linear.maps[0], linear.maps[1]);
}

/// What each formula of Grad-CAM++ makes of [`linear`]: the weights, and what is said of the map.
fn by_formula(variant: &str, features: [f32; 8], class: i64) -> (Vec<f32>, Vec<String>) {
    let method = find_variant("grad-cam++", variant).unwrap();
    let plan = Plan::new(&linear(), &[method], &at("features")).unwrap();
    let mut found = engines().into_iter().map(|engine| {
        let found = explain(&plan, &engine, &one(features), class).remove(0);
        (found.weights[0].clone(), found.notes[0].clone())
    });
    let first = found.next().unwrap();
    found.for_each(|other| {
        close(other.0, first.0.iter().map(|w| f64::from(*w)));
        assert_eq!(other.1, first.1);
    });
    first
}

#[test]
fn other_formulas_by_hand() {
    // ΣA = 6 and 5.5.
    let of = |variant| by_formula(variant, [1.0, 2.0, 0.0, 3.0, 0.5, 0.0, 4.0, 1.0], 0).0;
    let (w0, w1) = (0.5 / 5.0 + 0.1 / 2.6 + 2.0 / 14.0, 0.3 / 3.65);
    close(of("paper"), [w0, w1]);
    close(of("literal"), [w0, w1]);
    close(of("authors"), [w0 / (1.0 / 5.0 + 1.0 / 2.6 + 1.0 / 14.0), 0.3]);
    let all = (1.0 / 5.0 + 2.0 + 1.0 / 2.6 + 1.0 / 14.0, -1.0 / 3.5 + 1.0 / 3.65 + 1.0 / 1.725 - 1.0 / 20.0);
    close(of("tf-keras-vis"), [w0 / all.0, w1 / all.1]);
    let kept = |g: f64, sum: f64| g.powi(3) / (2.0 * g.powi(2) + sum * g.powi(3) + 1e-6);
    close(of("pytorch-grad-cam"), [kept(0.5, 6.0) + kept(0.1, 6.0) + kept(2.0, 6.0), kept(0.3, 5.5)]);
    close(of("torch-cam"), [0.125 + 0.001 + 8.0, 0.027]);
    close(of("xplique"), [(0.5 / 2.75 + 0.1 / 2.15 + 2.0 / 5.0) / 4.0, 0.3 / 2.4125 / 4.0]);
}

/// Feature maps of either sign: ΣA = −4, so that 2 + g ΣA is 0 for g = 0.5, and ΣA = 2, so that it is for g = −1.
#[test]
fn other_formulas_at_their_edges() {
    let features = [-1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 3.0, 1.0];
    let said = ["2 + g ΣA is nearly 0 in some cells, where α is very large"];
    let (w0, w1) = (0.1 / 1.6 - 2.0 / 6.0, 0.3 / 2.6);
    let of = |variant| by_formula(variant, features, 0);
    let (found, notes) = of("literal");
    close(found, [w0, w1]);
    assert_eq!(notes, said);
    let (found, notes) = of("authors");
    close(found, [w0 / (1.0 / 1.6 - 1.0 / 6.0), 0.3]);
    assert_eq!(notes, said);
    let (found, notes) = of("tf-keras-vis");
    close(found, [w0 / (1.0 / 3.0 + 1.0 / 1.6 - 1.0 / 6.0), w1 / (1.0 / 2.6 + 1.0 / 1.9 - 1.0 / 6.0)]);
    assert_eq!(notes, said);
    // Their means, −1 and 0.5, are nowhere near.
    let (found, notes) = of("xplique");
    close(found, [(0.5 / 1.5 + 0.1 / 1.9) / 4.0, 0.3 / 2.15 / 4.0]); // 2 − 2 is 0: α is 0, too
    assert!(notes.len() == 1 && of("torch-cam").1.is_empty());
    // A class without gradient.
    for variant in ["literal", "authors", "pytorch-grad-cam", "torch-cam", "tf-keras-vis", "xplique"] {
        assert_eq!(by_formula(variant, features, 1), (vec![0.0, 0.0], vec![]), "{variant}");
    }
}

/// Every method of feature maps but CAM, which this head does not have.
fn all() -> Vec<&'static str> {
    METHODS.iter().filter(|m| m.needs().features && !m.needs().pooled_head).map(|m| m.name()).collect()
}

#[test]
fn no_gradient_is_no_evidence() {
    // Finer-CAM's is that of a difference.
    let of_class = |m: &&&dyn Method| m.needs().gradient && m.needs().similar.is_none();
    let names: Vec<&str> = METHODS.iter().filter(of_class).map(|m| m.name()).collect();
    for features in [[1.0, -2.0, 0.0, 1.0, -1.0, -1.0, 3.0, 1.0], [0.0; 8]] {
        let found = agreed(&linear(), &names, &signed(at("features")), &one(features), 1);
        assert!(found[0].maps.iter().flatten().all(|v| *v == 0.0), "{found:?}");
    }
    let nothing = agreed(&linear(), &all(), &signed(at("features")), &one([0.0; 8]), 0);
    assert!(nothing[0].maps.iter().flatten().all(|v| *v == 0.0), "{nothing:?}");
}

/// A map of one cell: Grad-CAM, XGrad-CAM and HiResCAM are the same there.
#[test]
fn one_cell() {
    let rows: Vec<f64> = vec![0.5, -0.25, 0.125, 0.0, 0.0, 0.0];
    let head = Head::flat(3, 1, 1, &rows);
    let x = ArrayD::from_shape_vec(vec![1, 3, 1, 1], vec![2.0f32, 1.0, 0.0]).unwrap();
    let found = agreed(&head.model(), &all(), &signed(at("features")), &x, 0).remove(0);
    let of = |name: &str| found.maps[all().iter().position(|n| *n == name).unwrap()][[0, 0]];
    assert_eq!([of("grad-cam"), of("xgrad-cam"), of("hirescam")], [0.75; 3]);
    assert_eq!([of("grad-cam+"), of("layercam"), of("grad-cam-elementwise")], [1.0; 3]);
}

/// What is no number stays none: in its cell, or wherever a sum holds it.
#[test]
fn nan_is_not_hidden() {
    let names = ["hirescam", "grad-cam+", "xgrad-cam", "grad-cam++-no-relu"];
    let plan = plan(&linear(), &names, &signed(at("features"))).unwrap();
    for engine in engines() {
        let found = explain(&plan, &engine, &one([1.0, 2.0, f32::NAN, 3.0, 0.5, 0.0, 4.0, 1.0]), 0).remove(0);
        let nan: Vec<usize> = found.maps.iter().map(|map| map.iter().filter(|v| v.is_nan()).count()).collect();
        assert_eq!(nan, [1, 1, 4, 4], "{}", engine.name());
    }
}

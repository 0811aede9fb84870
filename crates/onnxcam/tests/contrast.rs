//! Why this class rather than that: S = S_class − S_rival.

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;

use both::{engines, explainer, pictures, plan, run};
use networks::{Network, apart, most};
use onnxcam::explain::{PlanOptions, Rival};
use onnxcam::method::GradCam;
use onnxcam::{Error, Model};
use testkit::models::tiny_cnn;

fn against(rival: Rival) -> PlanOptions {
    PlanOptions { rival: Some(rival), ..PlanOptions::default() }
}

/// Grad-CAM is linear in g, and g in S: the signed map is the difference of the classes' signed maps. CAM's row likewise.
#[test]
fn signed_maps_of_a_contrast_are_the_difference_of_two() {
    for network in Network::golden().into_iter().filter(|n| ["alexnet", "resnet50", "squeezenet"].contains(&&*n.name)) {
        let [a, b] = network.classes[..] else { panic!("{} has two classes", network.name) };
        for (export, engine) in
            network.exports.iter().flat_map(|e| engines().into_iter().map(move |engine| (e, engine)))
        {
            let options = PlanOptions { signed: true, ..against(Rival::Class(b as usize)) };
            let plan = plan(&export.open(), &["grad-cam"], &options).unwrap();
            for (i, found) in run(&mut explainer(&plan, &engine, 2), &network.input, a).iter().enumerate() {
                assert_eq!((found.class as i64, found.rival.unwrap() as i64), (a, b));
                let map = |class: usize| {
                    let map = network.arrays["grad_cam_signed"].clone();
                    map.index_axis_move(ndarray::Axis(0), class).index_axis_move(ndarray::Axis(0), i)
                };
                let expected = map(0) - map(1);
                let scale = network.scale("grad_cam", 0, i) + network.scale("grad_cam", 1, i);
                assert!(apart(&found.maps[0].clone().into_dyn(), &expected, scale) < 1e-4, "{export}");
                assert!(most(&expected) > 0.0);
            }
        }
    }
}

/// The runner-up is the best of the others, whether the class explained is the best or not.
#[test]
fn the_runner_up_is_found_in_the_graph() {
    let model = tiny_cnn(17, 6).model();
    let x = pictures(&[3, 3, 16, 16], 2);
    let second = plan(&model, &["grad-cam++"], &against(Rival::RunnerUp)).unwrap();
    for engine in engines() {
        for class in [-1, 4] {
            for (i, found) in run(&mut explainer(&second, &engine, 3), &x, class).iter().enumerate() {
                let mut ranks: Vec<usize> = (0..6).filter(|c| *c != found.class).collect();
                ranks.sort_by(|a, b| found.scores[*b].total_cmp(&found.scores[*a]));
                assert_eq!(found.rival, Some(ranks[0]), "{class}");
                let named = plan(&model, &["grad-cam++"], &against(Rival::Class(ranks[0]))).unwrap();
                let row = both::picture(&x, i);
                let same = run(&mut explainer(&named, &engine, 1), &row, found.class as i64).remove(0);
                assert!(apart(&found.maps[0].clone().into_dyn(), &same.maps[0].clone().into_dyn(), 1.0) < 1e-6);
                assert!(found.maps[0].iter().any(|v| *v != 0.0));
            }
        }
    }
}

#[test]
fn a_class_against_itself_is_no_difference_and_said() {
    let plan = plan(&tiny_cnn(17, 6).model(), &["grad-cam"], &against(Rival::Class(3))).unwrap();
    let x = pictures(&[1, 3, 16, 16], 2);
    for engine in engines() {
        let found = run(&mut explainer(&plan, &engine, 1), &x, 3).remove(0);
        assert!(found.maps[0].iter().all(|v| *v == 0.0));
        assert_eq!(found.notes[0], ["the class is contrasted with itself, and there is no difference"]);
        assert!(run(&mut explainer(&plan, &engine, 1), &x, 2).remove(0).notes[0].is_empty());
    }
}

/// A number beyond the classes is none, a list is not one.
#[test]
fn rivals_that_there_are_not() {
    let net = tiny_cnn(17, 4).model();
    let error = plan(&net, &["grad-cam"], &against(Rival::Class(4))).unwrap_err().to_string();
    assert_eq!(error, "there is no rival class 4: the network has 4 classes, counted from 0");
    let error = plan(&net, &["rise", "smooth-grad"], &against(Rival::RunnerUp)).unwrap_err().to_string();
    assert!(error.starts_with("SmoothGrad looks at changed pictures, whose second class"), "{error}");
    plan(&net, &["rise", "ablation-cam"], &against(Rival::RunnerUp)).unwrap();
    plan(&net, &["smooth-grad"], &against(Rival::Class(2))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    net.save(&path).unwrap();
    let model = Model::open(&path).unwrap();
    let settle = |text: &str| model.explain_with(&[&GradCam]).against(text).settle();
    assert_eq!(settle("2").unwrap().plan().rival.map(|(rival, _)| rival), Some(Rival::Class(2)));
    assert_eq!(settle("second").unwrap().plan().rival.map(|(rival, _)| rival), Some(Rival::RunnerUp));
    for (text, words) in
        [("1,2", "is not one class"), ("top2", "is not one class"), ("7", "7"), ("cat", "no names here")]
    {
        let error = settle(text).map(drop).unwrap_err();
        assert!(matches!(error, Error::Rival { .. } | Error::Class(_)) && error.to_string().contains(words), "{error}");
    }
}

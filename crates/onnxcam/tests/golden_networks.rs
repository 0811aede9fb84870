//! Small networks of every structure, by both of PyTorch's exporters and in several opsets, and by the exporters of other
//! frameworks, on both engines, against the framework's own gradients in float64 (`references/README.md` tells what the
//! files hold).

#[path = "support/both.rs"]
mod both;
#[path = "support/networks.rs"]
mod networks;

use std::sync::Arc;

use both::engines;
use networks::{
    Export, Failures, Network, canonical_error, check_copy, check_layer, dependence, gradient_errors, reference_errors,
};
use onnxcam::engine::Engine;

fn networks() -> Vec<Network> {
    Network::golden().into_iter().chain(Network::by_others()).collect()
}

/// Every export on every engine; answers how many.
fn each(mut check: impl FnMut(&Network, &Export, &Arc<dyn Engine>)) {
    let networks = networks();
    for engine in engines() {
        let mut count = 0;
        for network in &networks {
            for export in &network.exports {
                check(network, export, &engine);
                count += 1;
            }
        }
        assert!(count >= 54, "{count} exports on {}", engine.name());
    }
}

/// The measure: 1e-4 of max |w_k| for weights, of max_ij Σ_k |w_k A^k_ij| for maps.
#[test]
fn scores_features_weights_and_maps_are_the_frameworks() {
    let mut failures = Failures::default();
    each(|network, export, engine| {
        let errors = reference_errors(network, export, engine);
        failures.note(export, engine, &errors, errors.beyond(1e-4));
    });
    failures.are_none();
}

/// Through every kind of layer, back to the picture.
#[test]
fn gradients_are_the_frameworks() {
    let mut failures = Failures::default();
    each(|network, export, engine| {
        let errors = gradient_errors(network, export, engine);
        failures.note(export, engine, &errors, errors.beyond(1e-4));
    });
    failures.are_none();
}

#[test]
fn the_automatic_layer_is_the_recorded_one() {
    for network in networks() {
        network.exports.iter().for_each(|export| check_layer(&network, export));
    }
}

#[test]
fn a_map_depends_on_its_picture_only() {
    let mut failures = Failures::default();
    each(|network, export, engine| {
        let errors = dependence(network, export, engine);
        failures.note(export, engine, &errors, errors.beyond(1e-5));
    });
    failures.are_none();
}

#[test]
fn loading_and_writing_back_changes_no_output() {
    each(|network, export, engine| {
        check_copy(&export.file, engine, &network.input);
        let error = canonical_error(&export.file, engine, &network.input, &network.arrays["output"]);
        println!("{export} on {}: {error:.1e}", engine.name());
        assert!(error <= 1e-5, "{export} on {}: {error:.1e}", engine.name());
    });
}

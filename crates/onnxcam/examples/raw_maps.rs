//! Raw maps and weights of a float32 array, without pictures: `raw_maps MODEL INPUT.npy CLASS ENGINE LAYER|auto OUT`.

use std::path::Path;

use ndarray::{Array2, Axis};
use onnxcam::engine::{Search, choose};
use onnxcam::explain::{Explainer, Plan, PlanOptions};
use onnxcam::heatmap::{read_npy, write_npy};
use onnxcam::method::{self, Method};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, input, class, engine, layer, out] = arguments.as_slice() else { return Err("six arguments".into()) };
    let mut methods: Vec<&'static dyn Method> = vec![method::find("grad-cam")?, method::find("grad-cam++")?];
    let mut options = PlanOptions { layer: Some(layer.clone()).filter(|l| l != "auto"), ..Default::default() };
    options.signed = false;
    let model = onnx_graph::Model::open(model)?;
    let plan = match Plan::new(&model, &[methods.clone(), vec![method::find("cam")?]].concat(), &options) {
        Ok(plan) => {
            methods.push(method::find("cam")?);
            plan
        }
        Err(_) => Plan::new(&model, &methods, &options)?,
    };
    for note in &plan.notes {
        eprintln!("note: {note}");
    }
    println!("{} | layer {} ({}) | {} nodes", plan.head, plan.layer.name, plan.layer.module, plan.graph.nodes().len());
    let engine = choose(engine.parse()?, &Search::from_env(None))?.engine;
    let pictures = read_npy(Path::new(input))?;
    let mut explainer = Explainer::with_weights(&plan, &engine, pictures.len_of(Axis(0)), None)?;
    for (k, class) in class.split(',').enumerate() {
        let targets = vec![class.parse()?; pictures.len_of(Axis(0))];
        let start = std::time::Instant::now();
        let explained: Vec<_> = if explainer.batch() < targets.len() {
            pictures
                .axis_chunks_iter(Axis(0), 1)
                .map(|c| explainer.run(&c.to_owned(), &targets[..1]))
                .collect::<Result<Vec<_>, _>>()?
                .concat()
        } else {
            explainer.run(&pictures, &targets)?
        };
        println!("{:?}", start.elapsed());
        for (i, e) in explained.iter().enumerate() {
            for (m, method) in methods.iter().enumerate() {
                write_npy(Path::new(&format!("{out}.{k}.{i}.{}.map.npy", method.name())), &e.maps[m])?;
                let w = Array2::from_shape_vec((1, e.weights[m].len()), e.weights[m].clone())?;
                write_npy(Path::new(&format!("{out}.{k}.{i}.{}.weights.npy", method.name())), &w)?;
            }
        }
    }
    Ok(())
}

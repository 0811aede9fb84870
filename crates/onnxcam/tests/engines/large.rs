//! A model larger than an engine takes from memory goes through a file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ndarray::ArrayD;
use onnx_graph::Model;
use onnxcam::engine::{Engine, EngineError, Lack, Session, Source};
use onnxcam::explain::PlanOptions;

use crate::both::{engines, explain, explainer, plan, run};

/// An engine that takes next to nothing from memory, and the files it was given.
#[derive(Debug)]
struct Narrow {
    engine: Arc<dyn Engine>,
    files: Mutex<Vec<PathBuf>>,
}

impl Engine for Narrow {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn version(&self) -> String {
        self.engine.version()
    }

    fn location(&self) -> Option<&Path> {
        self.engine.location()
    }

    fn lacks(&self) -> &'static [Lack] {
        self.engine.lacks()
    }

    fn largest_in_memory(&self) -> usize {
        1000
    }

    fn load(&self, model: Source<'_>, threads: Option<usize>) -> Result<Box<dyn Session>, EngineError> {
        match model {
            Source::File(path) => self.files.lock().unwrap().push(path.to_owned()),
            Source::Bytes(_) => panic!("that is too large for memory"),
        }
        self.engine.load(model, threads)
    }
}

#[test]
fn its_map_is_the_same_and_its_file_goes_with_it() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/networks/resnet18.old.onnx");
    let plan = plan(&Model::open(file).unwrap(), &["grad-cam++"], &PlanOptions::default()).unwrap();
    let x = ArrayD::from_shape_fn(vec![1, 3, 80, 96], |i| ((i[1] * 31 + i[2] * 7 + i[3]) as f32).sin());
    for engine in engines() {
        let wanted = explain(&plan, &engine, &x, -1);
        let narrow = Arc::new(Narrow { engine, files: Mutex::default() });
        let mut explainer = explainer(&plan, &(narrow.clone() as Arc<dyn Engine>), 1);
        assert_eq!(run(&mut explainer, &x, -1), wanted, "{}", narrow.version());
        let files = narrow.files.lock().unwrap().clone();
        assert!(matches!(&files[..], [file] if file.is_file()), "{files:?}");
        drop(explainer);
        assert!(!files[0].exists() && !files[0].parent().unwrap().exists(), "{files:?} is still there");
    }
}

//! Memory does not grow with the number of files: counted byte by byte, at the allocator.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use image::{Rgb, RgbImage};
use onnxcam::{
    Error, Model,
    classifier::{Outcome, Targets},
    engine::Choice,
    heatmap::{Colormap, write_png},
    method::GradCamPlusPlus,
    source::Source,
};
use testkit::models::tiny_cnn;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which counts what is held and the most that was.
struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Two batches of pictures are held, however many files there are.
#[test]
fn memory_is_flat() {
    const SIDE: u32 = 200;
    let folder = tempfile::tempdir().unwrap();
    let network = folder.path().join("net.onnx");
    onnx_graph::Model::from_proto(tiny_cnn(17, 6).build(), &network).unwrap().save(&network).unwrap();
    let picture = folder.path().join("picture.png");
    write_png(&picture, &RgbImage::from_fn(SIDE, SIDE, |x, y| Rgb([x as u8, y as u8, 9])), &[]).unwrap();

    let model = Model::open(&network).unwrap();
    let mut explainer = model.explain_with(&[&GradCamPlusPlus]).batch(4).build(Choice::Rten).unwrap();
    let mut most_above = |files: usize| {
        let sources = vec![Source::of(picture.clone()); files];
        let before = HELD.load(Relaxed);
        MOST.store(before, Relaxed);
        let mut seen = 0;
        let done = explainer.explain_each(&sources, &Targets::default(), |outcome: Outcome| {
            let found = outcome.result?;
            found.explanations[0].maps()[0].overlay(found.picture.as_ref().unwrap(), Colormap::Turbo, 0.5)?;
            seen += 1;
            Ok::<(), Error>(())
        });
        done.unwrap();
        assert_eq!(seen, files);
        MOST.load(Relaxed) - before
    };
    let few = most_above(12);
    let many = most_above(300);
    let bytes = (SIDE * SIDE * 3) as usize;
    assert!(many > 4 * bytes, "{many} bytes: the count counts nothing");
    // The 288 pictures more would be 35 MB; what may differ is which thread was where: one batch.
    assert!(many < few + 4 * bytes, "at most {few} bytes for 12 pictures, {many} for 300");
}

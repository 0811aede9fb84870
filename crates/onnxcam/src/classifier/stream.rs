//! Many files, one batch after another: while the engine runs one, a thread decodes and resizes the next.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::{Error, Explanation, Input, PictureExplainer, Subject, Targets};
use crate::heatmap::NpyReader;
use crate::picture::Picture;
use crate::source::Source;

/// Pictures of a batch are kept until their overlays are drawn; above so many pixels the batch goes as it is.
const MOST_PIXELS: u64 = 1 << 25;

/// What came of one picture, or one row of an array.
#[derive(Debug)]
pub struct Outcome {
    /// Which of the sources.
    pub source: usize,
    /// Which row, where the source is an array that can be read.
    pub row: Option<usize>,
    /// The explanations, or what is wrong with the file.
    pub result: Result<Seen, Error>,
}

/// A picture and its explanations, one a class.
#[derive(Debug)]
pub struct Seen {
    /// The picture, where there is one.
    pub picture: Option<Picture>,
    /// What the network was fed.
    pub input: Input,
    /// One a class, in the order of the targets.
    pub explanations: Vec<Explanation>,
}

/// A picture or row that was read.
struct Loaded {
    source: usize,
    row: Option<usize>,
    result: Read,
}

/// What the network is fed, and the picture where there is one.
type Read = Result<(Input, Option<Picture>), Error>;

impl PictureExplainer {
    /// Explains files in order and hands over what came of each; a bad file is handed over as its error, and the next
    /// follows. Memory is needed for two batches, however many files there are.
    ///
    /// # Errors
    /// Where the engine fails, or `take` does.
    pub fn explain_each<E: From<Error>>(
        &mut self,
        sources: &[Source],
        targets: &Targets,
        mut take: impl FnMut(Outcome) -> Result<(), E>,
    ) -> Result<(), E> {
        let (subject, batch) = (self.subject().clone(), self.batch());
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(0);
            scope.spawn(move || load_all(sources, &subject, batch, &sender));
            for loaded in receiver {
                self.explain_loaded(loaded, targets, &mut take)?;
            }
            Ok(())
        })
    }

    fn explain_loaded<E: From<Error>>(
        &mut self,
        loaded: Vec<Loaded>,
        targets: &Targets,
        take: &mut impl FnMut(Outcome) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut inputs = Vec::new();
        let mut outcomes = Vec::new();
        for Loaded { source, row, result } in loaded {
            let result = result.map(|(input, picture)| {
                inputs.push(input);
                picture
            });
            outcomes.push((source, row, result));
        }
        let mut explained = self.explain(&inputs, targets)?.into_iter().zip(inputs);
        for (source, row, result) in outcomes {
            let result = result.map(|picture| {
                let (explanations, input) = explained.next().expect("one for each input");
                Seen { picture, input, explanations }
            });
            take(Outcome { source, row, result })?;
        }
        Ok(())
    }
}

/// Reads every source and sends batches, until nobody takes them.
fn load_all(sources: &[Source], subject: &Subject, batch: usize, sender: &SyncSender<Vec<Loaded>>) {
    let (mut loaded, mut pixels) = (Vec::new(), 0);
    let mut gone = false;
    for (source, file) in sources.iter().enumerate() {
        load(file, subject, &mut |row, result| {
            if let Ok((_, Some(picture))) = &result {
                pixels += u64::from(picture.size().0) * u64::from(picture.size().1);
            }
            loaded.push(Loaded { source, row, result });
            if loaded.len() == batch || pixels > MOST_PIXELS {
                gone = sender.send(std::mem::take(&mut loaded)).is_err();
                pixels = 0;
            }
            !gone
        });
        if gone {
            return;
        }
    }
    if !loaded.is_empty() {
        // Nobody is left to mind where the receiver is gone.
        let _ = sender.send(loaded);
    }
}

/// What one source holds: one picture, or an array's rows; `next` says whether to go on.
fn load(source: &Source, subject: &Subject, next: &mut dyn FnMut(Option<usize>, Read) -> bool) {
    if source.rows().is_none() {
        let input = |picture: Picture| Ok((subject.input(&picture)?, Some(picture)));
        next(None, Picture::open(source.path()).map_err(Error::from).and_then(input));
        return;
    }
    let name = source.path().display().to_string();
    let mut reader = match NpyReader::open(source.path()) {
        Ok(reader) => reader,
        Err(error) => {
            next(None, Err(error.into()));
            return;
        }
    };
    if let Err(error) = subject.check_array(reader.shape(), &name) {
        next(None, Err(error));
        return;
    }
    for row in 0..reader.shape()[0] {
        let values = reader.rows(row..row + 1).map_err(Error::from);
        let input = values.and_then(|values| subject.array_input(values, &name));
        if !next(Some(row), input.map(|input| (input, None))) {
            return;
        }
    }
}

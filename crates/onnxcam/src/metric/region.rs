use ndarray::Array2;

use crate::picture::{Placement, Rectangle};

/// Pixels of the network's input that lie in the boxes of a class, `[H, W]`: those whose centres do.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    inside: Array2<bool>,
    boxes: Vec<Rectangle>,
}

impl Region {
    /// The union of boxes in the coordinates of the input, in pixels: the top left one spans 0 to 1 both ways.
    pub fn of(boxes: &[Rectangle], (height, width): (usize, usize)) -> Region {
        let mut inside = Array2::from_elem((height, width), false);
        for b in boxes {
            let rows = (0..height).filter(|y| (b.top..b.bottom).contains(&(*y as f64 + 0.5)));
            for y in rows {
                let columns = (0..width).filter(|x| (b.left..b.right).contains(&(*x as f64 + 0.5)));
                columns.for_each(|x| inside[[y, x]] = true);
            }
        }
        let frame = Rectangle { left: 0.0, top: 0.0, right: width as f64, bottom: height as f64 };
        let boxes = boxes.iter().filter_map(|b| common(b, &frame)).collect();
        Region { inside, boxes }
    }

    /// Boxes in the coordinates of the photograph, as the network's input of `size` (height, width) shows them.
    pub fn of_photograph(boxes: &[Rectangle], placement: &Placement, size: (usize, usize)) -> Region {
        let covered = placement.covered();
        let across = size.1 as f64 / (covered.right - covered.left);
        let down = size.0 as f64 / (covered.bottom - covered.top);
        let moved = boxes.iter().map(|b| Rectangle {
            left: (b.left - covered.left) * across,
            top: (b.top - covered.top) * down,
            right: (b.right - covered.left) * across,
            bottom: (b.bottom - covered.top) * down,
        });
        Region::of(&moved.collect::<Vec<_>>(), size)
    }

    /// Whether each pixel is inside, `[H, W]`.
    pub fn inside(&self) -> &Array2<bool> {
        &self.inside
    }

    /// What the input shows of each box; those that lie outside are not among them.
    pub fn boxes(&self) -> &[Rectangle] {
        &self.boxes
    }

    /// Pixels inside.
    pub fn area(&self) -> usize {
        self.inside.iter().filter(|inside| **inside).count()
    }
}

/// What two rectangles have in common.
pub(super) fn common(a: &Rectangle, b: &Rectangle) -> Option<Rectangle> {
    let both = Rectangle {
        left: a.left.max(b.left),
        top: a.top.max(b.top),
        right: a.right.min(b.right),
        bottom: a.bottom.min(b.bottom),
    };
    (both.left < both.right && both.top < both.bottom).then_some(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rectangle(left: f64, top: f64, right: f64, bottom: f64) -> Rectangle {
        Rectangle { left, top, right, bottom }
    }

    #[test]
    fn overlapping_boxes_count_once() {
        let region = Region::of(&[rectangle(0.0, 0.0, 2.0, 2.0), rectangle(1.0, 1.0, 3.0, 3.0)], (4, 4));
        assert_eq!((region.area(), region.boxes().len()), (7, 2));
    }

    #[test]
    fn boxes_at_and_beyond_the_border() {
        let region = Region::of(&[rectangle(-5.0, 3.0, 1.0, 9.0), rectangle(4.0, 0.0, 9.0, 4.0)], (4, 4));
        assert_eq!((region.area(), region.boxes()), (1, &[rectangle(0.0, 3.0, 1.0, 4.0)][..]));
        assert!(region.inside()[[3, 0]]);
    }

    #[test]
    fn a_pixel_is_inside_where_its_centre_is() {
        assert_eq!(Region::of(&[rectangle(0.4, 0.5, 1.5, 1.6)], (3, 3)).area(), 2);
        assert_eq!(Region::of(&[rectangle(0.6, 0.6, 1.4, 1.4)], (3, 3)).area(), 0);
    }

    #[test]
    fn boxes_of_the_photograph_are_scaled() {
        let region = Region::of_photograph(&[rectangle(0.0, 10.0, 50.0, 20.0)], &Placement::whole(100, 20), (2, 4));
        assert_eq!(region.boxes(), [rectangle(0.0, 1.0, 2.0, 2.0)]);
        assert_eq!(region.area(), 2);
    }
}

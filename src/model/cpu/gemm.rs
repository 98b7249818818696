//! The matrix product under every convolution.

/// A matrix in borrowed memory; element `(row, column)` is at `row * row_stride + column * column_stride`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub data: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    pub row_stride: usize,
    pub column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after the other.
    pub fn row_major(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The same memory with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn extent(&self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
    }
}

/// Writes `lhs * rhs` into the row-major `out`, or adds it.
pub fn multiply(out: &mut [f32], lhs: Matrix<'_>, rhs: Matrix<'_>, accumulate: bool) {
    assert_eq!(out.len(), lhs.rows * rhs.columns, "the output has another size");
    multiply_columns(out, rhs.columns, lhs, rhs, accumulate);
}

/// Writes `lhs * rhs` into the first columns of `out`, whose rows are `stride` apart, or adds it; on the calling thread
/// alone: callers split their work in parts that do not depend on the number of threads, so that neither do the sums.
#[expect(
    unsafe_code,
    reason = "the gemm crate takes pointers; its safe peers are several times slower"
)]
pub fn multiply_columns(
    out: &mut [f32],
    stride: usize,
    lhs: Matrix<'_>,
    rhs: Matrix<'_>,
    accumulate: bool,
) {
    let (m, n, k) = (lhs.rows, rhs.columns, lhs.columns);
    assert_eq!(k, rhs.rows, "inner sizes differ");
    if m == 0 || n == 0 {
        return;
    }
    assert!(n <= stride && (m - 1) * stride + n <= out.len(), "the output leaves its memory");
    assert!(lhs.extent() <= lhs.data.len(), "the left matrix leaves its memory");
    assert!(rhs.extent() <= rhs.data.len(), "the right matrix leaves its memory");
    // SAFETY: the asserts above hold every element that gemm reads or writes inside the three slices; `out` is borrowed
    // mutably, hence apart from the others.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            accumulate,
            lhs.data.as_ptr(),
            lhs.column_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr(),
            rhs.column_stride as isize,
            rhs.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

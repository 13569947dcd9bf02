"""The table of operations on matrices, their products, and Fourier transforms."""

from __future__ import annotations

from tests.layers.harness import Case


def op(kind: str, call: str, x: str | tuple[str, ...] = "2 5 5", **more: object) -> Case:
    return Case(f"keras.ops.{kind}", {}, x, call=call, **more)  # type: ignore[arg-type]


#: A matrix that is symmetric and positive definite.
DEFINITE = "ops.matmul(x, ops.transpose(x, (0, 2, 1))) + np.eye(5, dtype='float32')"
SIGNAL = ("2 3 8", "2 3 8")

MATRICES = [
    op("Det", "ops.det(x)"),
    op("Inv", "ops.inv(x)"),
    op("Inv", "ops.inv(x)", "2 3 5 5"),
    op("Logdet", f"ops.logdet({DEFINITE})"),
    op("Slogdet", "ops.multiply(*ops.slogdet(x))"),
    op("Cholesky", f"ops.cholesky({DEFINITE})"),
    op("Cholesky", f"ops.cholesky({DEFINITE}, upper=True)"),
    op("CholeskyInverse", f"ops.cholesky_inverse(ops.cholesky({DEFINITE}))"),
    op("CholeskyInverse", f"ops.cholesky_inverse(ops.cholesky({DEFINITE}, upper=True), upper=True)"),
    op("Solve", "ops.solve(x, y)", ("2 5 5", "2 5 3")),
    op("Solve", "ops.solve(x, y)", ("2 5 5", "2 5")),
    op("SolveTriangular", f"ops.solve_triangular(ops.cholesky({DEFINITE}), y, lower=True)",
       ("2 5 5", "2 5 3")),
    op("SolveTriangular", f"ops.solve_triangular(ops.cholesky({DEFINITE}, upper=True), y)", ("2 5 5", "2 5")),
    op("Qr", "ops.matmul(*ops.qr(x)) + ops.qr(x)[0]", "2 7 3"),
    op("Qr", "ops.qr(x)[1]", "2 7 3"),
    op("Qr", "ops.qr(x)[0]"),
    op("Qr", "ops.qr(x)[1]"),
    op("SVD", "ops.svd(x, compute_uv=False)", "2 7 3"),
    op("Pinv", "ops.pinv(x)", "2 7 3"),
    op("Pinv", "ops.pinv(x, rcond=1e-3)", "2 7 3"),
    op("MatrixRank", "ops.cast(ops.matrix_rank(x), 'float64')", "2 7 3"),
    op("Lstsq", "ops.lstsq(x, y)", ("7 3", "7 2")),
    op("Lstsq", "ops.lstsq(x, ops.sum(y, axis=1))", ("7 3", "7 2")),
    op("Diagonal", "ops.diagonal(x, axis1=1, axis2=2)"),
    op("Diagonal", "ops.diagonal(x, offset=-1, axis1=2, axis2=1)", "2 5 3 7"),
    op("Trace", "ops.trace(x, axis1=1, axis2=2)"),
    op("Trace", "ops.trace(x, axis1=2, axis2=1)", "2 5 7 3"),
    op("Diag", "ops.diag(ops.sum(x, axis=0), k=1)", "2 5"),
    op("Diag", "ops.diag(ops.sum(x, axis=0), k=-1)", "2 5 7"),
    op("Diagflat", "ops.diagflat(ops.sum(x, axis=0))", "2 5 3"),
    op("Vander", "ops.vander(x[:, 0], N=4)", "2 5"),
    op("Vander", "ops.vander(ops.sum(x, axis=0), N=3, increasing=True)", "2 5"),
    op("Corrcoef", "ops.corrcoef(ops.sum(x, axis=0))", "2 3 7"),
    op("Cross", "ops.cross(x, y)", ("2 5 3", "2 5 3")),
    op("Cross", "ops.cross(x, y, axis=1)", ("2 3 5", "2 3 5")),
    op("Inner", "ops.inner(x, ops.sum(y, axis=0))", ("2 5 3", "2 7 3")),
    op("Outer", "ops.outer(ops.sum(x, axis=0), ops.sum(y, axis=0))", ("2 5", "2 7 3")),
    op("Vdot", "ops.vdot(x, y)", ("2 5 3", "2 5 3")),
    op("Kron", "ops.kron(x, y)", ("2 3", "2 5")),
    op("CDist", "ops.cdist(x, y)", ("2 5 3", "2 7 3")),
]  # fmt: skip

WAVES = [
    op("FFT", "ops.subtract(*ops.fft((x, y)))", SIGNAL),
    op("FFT", "ops.fft((x, y))[1]", ("2 7", "2 7")),
    op("FFT2", "ops.subtract(*ops.fft2((x, y)))", SIGNAL),
    op("IFFT2", "ops.subtract(*ops.ifft2((x, y)))", SIGNAL),
    op("RFFT", "ops.subtract(*ops.rfft(x))", "2 3 8"),
    op("RFFT", "ops.subtract(*ops.rfft(x, fft_length=16))", "2 3 11"),
    op("RFFT", "ops.subtract(*ops.rfft(ops.stop_gradient(x), fft_length=7))", "2 3 11"),
    op("IRFFT", "ops.irfft((x, y))", SIGNAL),
    # TensorFlow fails in the gradient of what it cuts off.
    op("IRFFT", "ops.irfft((ops.stop_gradient(x), ops.stop_gradient(y)), fft_length=11)", SIGNAL),
    op("IRFFT", "ops.irfft(ops.rfft(x)) * x", "2 3 8"),
    op("ExtractSequences", "ops.extract_sequences(x, 5, 3)", "2 3 17"),
    op("STFT", "ops.subtract(*ops.stft(x, 8, 3, 8))", "2 29"),
    op("STFT", "ops.subtract(*ops.stft(x, 7, 3, 16, window='hamming'))", "2 29"),
    op("STFT", "ops.subtract(*ops.stft(x, 7, 5, 9, center=False))", "2 29"),
    op("STFT", "ops.subtract(*ops.stft(x, 8, 5, 11, window=None))", "2 29"),
]

LINEAR = [*MATRICES, *WAVES]

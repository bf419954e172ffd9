"""Every codec against the one suite, in dimensions that fit its bytes and in some that do not."""

from __future__ import annotations

from colstore.testing import CodecConformance


class TestFloat16(CodecConformance):
    bits = 16
    dim = 48


class TestFloat16OfOddDimension(CodecConformance):
    bits = 16
    dim = 50


class TestEightBits(CodecConformance):
    bits = 8
    dim = 128


class TestFourBits(CodecConformance):
    bits = 4
    dim = 128


class TestFourBitsOfOddDimension(CodecConformance):
    bits = 4
    dim = 100


class TestTwoBits(CodecConformance):
    bits = 2
    dim = 48


class TestOneBit(CodecConformance):
    bits = 1
    dim = 128


class TestOneBitOfOddDimension(CodecConformance):
    bits = 1
    dim = 50


class TestManyCentroids(CodecConformance):
    """Codes of two bytes."""

    bits = 4
    dim = 64
    number = 300

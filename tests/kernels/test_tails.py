"""Tails against 60-digit arithmetic, scipy and the laws they obey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from voxlm.kernels import tails

# Log tails and z against 60-digit values: rounding of the incomplete beta function near its
# centre for a large df, measured 2e-12 at worst.
REFERENCE_RTOL = 5e-12
# scipy's own log tails lose digits where they take the log of a rounded p.
SCIPY_RTOL = 1e-10
# The interpolation of z over t, 5e-14 where measured on a fine grid.
INTERPOLATED_RTOL = 5e-13
# z near 0 is the difference of a tail from one half: exact to a few eps of that half.
Z_ATOL = 1e-15

# Computed with 60 digits as log of half the regularised incomplete beta function (t) or of the
# function itself (F); z solves the same tail of the normal.
T_REFERENCE = [  # t, df, log upper tail, z
    (0.3, 1, -0.898385931464041, 0.2346855012124529),
    (4.4, 1, -2.64317844914167, 1.46739136200243),
    (41, 1, -4.858500196121206, 2.4199126987567086),
    (1000, 1, -8.052485498164726, 3.4155131479263496),
    (0.3, 2.5, -0.9322392720583192, 0.2697632834019685),
    (4.4, 2.5, -4.151999533696688, 2.151131105152439),
    (41, 2.5, -9.61479660921673, 3.8199699801980143),
    (1000, 2.5, -17.5988121725629, 5.468075041972885),
    (0.3, 29, -0.9593064154997887, 0.2971957147014681),
    (4.4, 29, -9.612236718074087, 3.81933852863168),
    (41, 29, -61.71902484488357, 10.808457181460048),
    (1000, 29, -154.11072591713463, 17.339866230334792),
    (0.3, 143, -0.961532889386405, 0.29942891018439294),
    (4.4, 143, -11.462997506877981, 4.25372968925712),
    (41, 143, -185.3967650386272, 19.054018620231062),
    (1000, 143, -636.3778761770312, 35.54960531057424),
    (0.3, 498, -0.9619390202003117, 0.2998358916677029),
    (4.4, 498, -11.924655970054202, 4.355934233354998),
    (41, 498, -371.42488683423954, 27.10000212037589),
    (1000, 498, -1897.7711735251046, 61.526132805330384),
    (0.3, 10000.0, -0.9620946583046741, 0.29999182511955214),
    (4.4, 10000.0, -12.116483680877472, 4.397762702614778),
    (41, 10000.0, -781.4479261323614, 39.41710656836966),
    (1000, 10000.0, -23081.12174375986, 214.8247330316448),
    (0.3, 1000000.0, -0.962102736568797, 0.29999991825001193),
    (4.4, 1000000.0, -12.12668814684762, 4.399977604230558),
    (41, 1000000.0, -844.426615493505, 40.98277517687073),
    (1000, 1000000.0, -346581.07040144457, 832.5544149938617),
]
F_REFERENCE = [  # F, df_num, df, log upper tail
    (0.01, 1, 40, -0.08246479776792205),
    (1, 1, 40, -1.1291071305558886),
    (20, 1, 40, -9.67962494120102),
    (5000, 1, 40, -98.7983248738601),
    (0.01, 3, 200, -0.001375494696878871),
    (1, 3, 200, -0.9316032478117404),
    (20, 3, 200, -24.52637647049117),
    (5000, 3, 200, -430.65278576455034),
    (0.01, 7, 498.5, -6.826647743781298e-07),
    (1, 7, 498.5, -0.8432005235672775),
    (20, 7, 498.5, -52.83924244942442),
    (5000, 7, 498.5, -1050.63386491137),
    (0.01, 24, 10000.0, -1.6879551732785357e-20),
    (1, 24, 10000.0, -0.7727654723986115),
    (20, 24, 10000.0, -192.08903958788227),
    (5000, 24, 10000.0, -12749.427066630375),
]


@pytest.mark.parametrize(("t", "df", "log_sf", "z"), T_REFERENCE)
def test_t_equals_high_precision(t, df, log_sf, z):
    assert tails.t_log_sf(t, df)[0] == pytest.approx(log_sf, rel=REFERENCE_RTOL)
    assert tails.t_to_z(t, df)[0] == pytest.approx(z, rel=REFERENCE_RTOL)
    assert tails.t_to_log10p(-t, df)[0] == pytest.approx(
        (log_sf + np.log(2)) / np.log(10), rel=REFERENCE_RTOL
    )


@pytest.mark.parametrize(("f", "df_num", "df", "log_sf"), F_REFERENCE)
def test_f_equals_high_precision(f, df_num, df, log_sf):
    assert tails.f_log_sf(f, df_num, df)[0] == pytest.approx(log_sf, rel=REFERENCE_RTOL, abs=0)


@pytest.mark.parametrize("df", [1.0, 3.7, 20.0, 99.9, 100.0, 181.0, 3000.0])
def test_t_p_and_tails_equal_scipy(df):
    t = np.linspace(-12, 12, 241)
    np.testing.assert_allclose(tails.t_to_p(t, df), 2 * stats.t.sf(np.abs(t), df), rtol=SCIPY_RTOL)
    np.testing.assert_allclose(np.exp(tails.t_log_sf(t, df)), stats.t.sf(t, df), rtol=SCIPY_RTOL)


@pytest.mark.parametrize("q", [1, 2, 5, 30])
@pytest.mark.parametrize("df", [4.0, 57.3, 400.0])
def test_f_p_and_z_equal_scipy(q, df):
    f = np.geomspace(1e-3, 60, 100)
    p = stats.f.sf(f, q, df)
    np.testing.assert_allclose(tails.f_to_p(f, q, df), p, rtol=SCIPY_RTOL)
    lower = stats.norm.ppf(stats.f.cdf(f, q, df))
    z = np.where(p < 0.5, stats.norm.isf(p), lower)
    np.testing.assert_allclose(tails.f_to_z(f, q, df), z, rtol=SCIPY_RTOL, atol=1e-13)


def test_infinite_df_is_the_normal_and_chi_squared():
    x = np.array([0.1, 1.0, 5.0, 30.0, 200.0])
    np.testing.assert_allclose(tails.t_to_z(x, np.inf), x, rtol=1e-15)
    np.testing.assert_allclose(tails.t_log_sf(x, np.inf), stats.norm.logsf(x), rtol=1e-14)
    np.testing.assert_allclose(
        tails.f_to_p(x[:4], 3, np.inf), stats.chi2.sf(3 * x[:4], 3), rtol=1e-13
    )
    # Q(3/2, y) = erfc(sqrt(y)) + 2 sqrt(y/pi) exp(-y), whose log is y-dominated far out.
    y = 3 * 1000.0 / 2
    expected = -y + np.log(2 * np.sqrt(y / np.pi)) + np.log1p(1 / (2 * y))
    assert tails.f_log_sf(1000.0, 3, np.inf)[0] == pytest.approx(expected, rel=1e-9)


def test_no_saturation_and_sign_kept_beyond_37():
    z = tails.t_to_z([-1000.0, -200.0, 200.0, 1000.0], 1e4)
    assert z[0] == -z[3]
    assert z[3] > z[2] > 120
    assert tails.t_to_p([1000.0], 1e4)[0] == 0.0
    assert tails.t_to_log10p([1000.0], 1e4)[0] == pytest.approx(-10023.5, abs=1)
    assert tails.f_to_z([1e6], 4, 5e3)[0] > 37


@pytest.mark.parametrize("df", [1.0, 3.3, 19.0, 77.0, 150.0])
def test_many_voxels_of_one_df_equal_voxels_taken_one_by_one(df):
    t = np.random.default_rng(4).standard_t(2, 6000) * 3
    t[:3] = [0.0, 1e-9, 5e4]
    alone = np.array([tails.t_to_z(value, df)[0] for value in t])
    np.testing.assert_allclose(tails.t_to_z(t, df), alone, rtol=INTERPOLATED_RTOL, atol=1e-15)
    p = np.array([tails.t_to_p(value, df)[0] for value in t])
    np.testing.assert_allclose(tails.t_to_p(t, df), p, rtol=SCIPY_RTOL)
    assert not tails.t_to_z(np.zeros(6000), df).any()
    tiny = np.full(6000, 1e-160)
    np.testing.assert_allclose(tails.t_to_z(tiny, df), 0, atol=1e-15)
    table = t.reshape(2, -1)
    np.testing.assert_array_equal(tails.t_to_z(table, df).ravel(), tails.t_to_z(t, df))


def test_df_per_voxel_equals_df_by_voxel():
    t = np.array([-3.0, 0.2, 8.0, 300.0, 2.0])
    df = np.array([5.0, 120.0, 1e3, 40.0, np.inf])
    one_by_one = [tails.t_to_z(a, b)[0] for a, b in zip(t, df, strict=True)]
    np.testing.assert_array_equal(tails.t_to_z(t, df), one_by_one)
    one_by_one = [tails.f_to_z(abs(a), 3, b)[0] for a, b in zip(t, df, strict=True)]
    np.testing.assert_array_equal(tails.f_to_z(np.abs(t), 3, df), one_by_one)


def test_what_has_no_tail_is_nan_and_infinity_is_kept():
    assert np.isnan(tails.t_to_z([np.nan, 1.0, 1.0, 1.0], [9.0, 0.0, -1.0, np.nan])).all()
    assert np.isnan(tails.f_to_z([np.nan, -1.0, 1.0], 2, [9.0, 9.0, 0.0])).all()
    assert tails.t_to_z([np.inf, -np.inf], 30.0).tolist() == [np.inf, -np.inf]
    assert tails.t_to_p([np.inf], 30.0)[0] == 0.0
    assert tails.f_to_z([0.0, np.inf], 2, 30.0).tolist() == [-np.inf, np.inf]


@settings(deadline=None, max_examples=200)
@given(
    t=st.floats(0, 1e3),
    df=st.one_of(st.floats(1, 1e6), st.just(np.inf)),
)
def test_law_t_is_odd_and_z_has_the_same_tail(t, df):
    z = tails.t_to_z([t, -t], df)
    assert z[0] == -z[1]
    assert 0 <= z[0] <= t * (1 + 1e-9) + Z_ATOL  # a t has heavier tails than a normal
    there_and_back = stats.norm.logsf(z[0])
    assert there_and_back == pytest.approx(tails.t_log_sf(t, df)[0], rel=1e-11)


@settings(deadline=None, max_examples=100)
@given(df=st.floats(1, 1e5), seed=st.integers(0, 2**16))
def test_law_monotone(df, seed):
    t = np.sort(np.abs(np.random.default_rng(seed).standard_cauchy(400)))
    z = tails.t_to_z(t, df)
    slack = 1e-12 * z[1:] + Z_ATOL
    assert np.all(np.diff(z) >= -slack)
    f = tails.f_log_sf(t, 3.0, df)
    assert np.all(np.diff(f) <= 1e-11 * np.abs(f[1:]) + 1e-15)


@settings(deadline=None, max_examples=100)
@given(t=st.floats(1e-3, 50), df=st.floats(1, 1e4))
def test_law_f_of_one_row_is_t_squared(t, df):
    assert tails.f_log_sf(t * t, 1, df)[0] == pytest.approx(
        tails.t_log_sf(t, df)[0] + np.log(2), rel=1e-9, abs=1e-13
    )


@settings(deadline=None, max_examples=100)
@given(
    log10p=st.floats(-30, -0.001),
    q=st.integers(1, 30),
    df=st.one_of(st.floats(4, 1e5), st.just(np.inf)),
)
def test_law_inverses_leave_the_tail_they_were_asked_for(log10p, q, df):
    p = 10.0**log10p
    assert tails.f_to_p(tails.f_isf(p, q, df), q, df)[0] == pytest.approx(p, rel=1e-8)
    assert np.exp(tails.t_log_sf(tails.t_isf(p, df), df))[0] == pytest.approx(p, rel=1e-8)


def test_inverses_at_the_ends():
    ends = [0.0, 1.0, np.nan]
    for df in (3.0, 40.0, np.inf):
        np.testing.assert_array_equal(tails.t_isf(ends, df), [np.inf, -np.inf, np.nan])
        np.testing.assert_array_equal(tails.f_isf(ends, 2.0, df), [np.inf, 0.0, np.nan])
    # scipy's search for a t gives up here
    found = tails.t_isf([1e-300], 10.0)
    np.testing.assert_allclose(tails.t_log_sf(found, 10.0), np.log(1e-300), rtol=1e-9)

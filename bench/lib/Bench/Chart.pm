# The same results as a picture (SVG): a panel of bars for each size, one for the crowd, one for the next request.
package Bench::Chart;

use strict;
use warnings;
use utf8;
use Exporter 'import';
use Bench::Report qw(other_nginx size_name thousands);
use Bench::Waiting qw(CLIENTS BACKEND_MS STALE_BACKEND_MS);

our @EXPORT_OK = qw(as_svg);

use constant {
    WIDTH => 888, MARGIN => 28, LABELS => 252, BAR => 18, STEP => 26,
    OURS => '#0b7285', OTHERS => '#adb5bd', INK => '#212529', FAINT => '#868e96',
};

sub as_svg {
    my ($r) = @_;
    my $y = MARGIN;
    my $body = '';
    my $panel = sub {
        my ($title, $note, @bars) = @_;
        my ($text, $height) = _panel($y, $title, $note, @bars);
        $body .= $text;
        $y += $height;
    };

    for my $size (sort { $a <=> $b } keys %{ $r->{throughput} // {} }) {
        my $of = $r->{throughput}{$size};
        $panel->(
            size_name($size) . ': requests per second', 'and processor time of the nginx worker for one request',
            map {
                my $run = $of->{ $_->{id} };
                +{
                    label => $_->{label}, ours => scalar($_->{id} =~ /^redis/), value => $run->{rps},
                    text => thousands($run->{rps}) . '  ·  ' . _time($run->{us}) . ' µs',
                }
            } grep { $of->{ $_->{id} } } @{ $r->{contenders} }
        );
    }
    $panel->(
        CLIENTS . ' clients at once, one missing key: time until the last byte',
        '99th percentile; the backend itself takes ' . BACKEND_MS . ' ms',
        map {
            +{
                label => $_->{label}, ours => scalar($_->{id} !~ /^proxy_cache/), value => $_->{p99}, mark => BACKEND_MS,
                text => sprintf('%.0f ms  ·  %d backend request%s', $_->{p99}, $_->{backend}, $_->{backend} == 1 ? '' : 's'),
            }
        } @{ $r->{crowd} }
    ) if $r->{crowd};
    $panel->(
        'The next request on the connection of a stale answer',
        'while the backend takes ' . STALE_BACKEND_MS / 1000 . ' s for the new one',
        map {
            +{
                label => $_->{label}, ours => $_->{id} eq 'module', value => $_->{next},
                text => _time($_->{next}) . ' ms',
            }
        } @{ $r->{next_request} }
    ) if $r->{next_request};

    my $m = $r->{machine};
    $body .= _text(MARGIN, $y + 4, "$m->{date}, $m->{processor}, nginx $m->{nginx}, Redis $m->{redis}; "
        . 'one worker on one core, load and stores on another'
        . (other_nginx($r) ? "; srcache on nginx $m->{system_nginx}" : ''), size => 11, fill => FAINT);
    my $height = $y + MARGIN;
    my $width = WIDTH;
    return <<"SVG";
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" width="$width" height="$height" font-family="system-ui, 'DejaVu Sans', sans-serif">
<rect width="$width" height="$height" fill="#ffffff"/>
$body</svg>
SVG
}

sub _time { return $_[0] < 10 ? sprintf('%.1f', $_[0]) : thousands($_[0]) }

# One panel from y on, and its height.
sub _panel {
    my ($y, $title, $note, @bars) = @_;
    my $text = _text(MARGIN, $y + 12, $title, size => 15, weight => 600)
        . _text(MARGIN, $y + 30, $note, size => 12, fill => FAINT);
    my $top = $y + 44;
    my ($most) = sort { $b <=> $a } map { $_->{value} } @bars;
    my $left = MARGIN + LABELS;
    # room behind the longest bar for its figures
    my $scale = (WIDTH - MARGIN - $left - 210) / ($most || 1);

    my $row = $top;
    for my $bar (@bars) {
        my $length = $bar->{value} * $scale;
        $length = 1 if $length < 1;
        my $middle = $row + BAR - 5;
        my @strong = $bar->{ours} ? (weight => 600) : ();
        $text .= _text($left - 10, $middle, $bar->{label}, anchor => 'end', @strong)
            . sprintf(qq(<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/>\n),
                $left, $row, $length, BAR, $bar->{ours} ? OURS : OTHERS)
            . _text($left + $length + 8, $middle, $bar->{text}, @strong);
        $row += STEP;
    }
    if (@bars && $bars[0]{mark}) {
        my $x = $left + $bars[0]{mark} * $scale;
        $text .= sprintf qq(<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s" stroke-dasharray="3 3"/>\n),
            $x, $x, $top - 4, $row - STEP + BAR + 4, INK;
    }
    return ($text, $row - $y + 22);
}

sub _text {
    my ($x, $y, $text, %o) = @_;
    $text =~ s/&/&amp;/g;
    $text =~ s/</&lt;/g;
    return sprintf qq(<text x="%.1f" y="%.1f" font-size="%d" fill="%s"%s%s>%s</text>\n), $x, $y, $o{size} // 12,
        $o{fill} // INK, $o{weight} ? qq( font-weight="$o{weight}") : '', $o{anchor} ? qq( text-anchor="$o{anchor}") : '',
        $text;
}

1;

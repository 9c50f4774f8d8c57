<?php
/*
 * Read a visitor's choice at the site's own server. Needs PHP 8.0 with sodium, which it is built with.
 *
 *   require 'choice.php';
 *   $keys = new ConsentKeys('https://www.example.com/.consent/jwks.json');
 *   $choice = consent_choice($_SERVER['HTTP_COOKIE'] ?? '', $keys, 'www', '2026-01-01');
 *   $gpc = ($_SERVER['HTTP_SEC_GPC'] ?? '') === '1';
 *   if (consent_allows($choice, 'advertising', 'meta-pixel', $gpc)) { ... send the event ... }
 *
 * $choice is null where there is none in force: no cookie, a damaged or forged one, one of a key that
 * is unknown or revoked, of another site, of another policy version, or one that has ended. Then
 * nothing is allowed. A copy of this file is all that a server needs.
 */

declare(strict_types=1);

const CONSENT_CLOCK_SKEW = 300;
const CONSENT_MAX_LENGTH = 3500;
const CONSENT_SHAPE = '/\A[A-Za-z0-9_-]{2,200}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{85}[AQgw]\z/';

/**
 * The proxy's public keys, stored in a file that all requests share: fetched when first needed, again
 * after $maxAge seconds, and at once for a key that is not known, at most every $again seconds. While
 * they cannot be fetched those known hold, for a day.
 */
final class ConsentKeys
{
    private ?array $state = null;
    private string $file;

    public function __construct(
        private string $url,
        private float $maxAge = 60,
        private float $again = 10,
        private float $timeout = 5,
        ?string $file = null,
    ) {
        // A name of its own for each user: in the folder of temporary files others may write, too.
        $user = function_exists('posix_geteuid') ? posix_geteuid() : getmyuid();
        $this->file = $file ?? sys_get_temp_dir() . "/consent-keys-$user-" . sha1($url) . '.json';
    }

    public function find(string $kid): ?string
    {
        $now = microtime(true);
        $this->state ??= $this->read();
        $old = $now - $this->state['fetched'] >= $this->maxAge;
        $may = $now - $this->state['tried'] >= min($this->again, $this->maxAge);
        if (($old || !isset($this->state['keys'][$kid])) && $may) {
            $this->state['tried'] = $now;
            $keys = $this->fetch();
            if ($keys !== null) {
                $this->state['keys'] = $keys;
                $this->state['fetched'] = $now;
            } elseif ($now - $this->state['fetched'] > 86400) {
                $this->state['keys'] = [];
            }
            $this->write();
        }
        $key = $this->state['keys'][$kid] ?? null;
        return $key === null ? null : consent_decoded($key);
    }

    private function fetch(): ?array
    {
        $context = stream_context_create(['http' => ['timeout' => $this->timeout]]);
        $text = @file_get_contents($this->url, false, $context, 0, 1000000);
        $set = is_string($text) ? json_decode($text, true) : null;
        if (!is_array($set) || !is_array($set['keys'] ?? null)) {
            return null;
        }
        $keys = [];
        foreach ($set['keys'] as $key) {
            if (($key['kty'] ?? '') === 'OKP' && ($key['crv'] ?? '') === 'Ed25519') {
                $keys[(string) $key['kid']] = (string) $key['x'];
            }
        }
        return $keys;
    }

    private function read(): array
    {
        $nothing = ['keys' => [], 'fetched' => -INF, 'tried' => -INF];
        // Of nobody else: another user of the machine could put keys there.
        if (!is_file($this->file) || is_link($this->file) || fileowner($this->file) !== $this->owner()) {
            return $nothing;
        }
        $state = json_decode((string) @file_get_contents($this->file), true);
        return is_array($state) && is_array($state['keys'] ?? null) && isset($state['fetched'], $state['tried'])
            ? $state
            : $nothing;
    }

    private function owner(): int
    {
        return function_exists('posix_geteuid') ? posix_geteuid() : getmyuid();
    }

    private function write(): void
    {
        $state = array_map(fn ($value) => $value === -INF ? 0 : $value, $this->state);
        $new = $this->file . '.' . bin2hex(random_bytes(6));
        if (@file_put_contents($new, json_encode($state)) !== false) {
            chmod($new, 0600);
            rename($new, $this->file);
        }
    }
}

/**
 * The choice in force, or null. $name is "__Secure-consent" where the config has a cookie_domain, and
 * "consent" without TLS.
 */
function consent_choice(
    string $cookieHeader,
    ConsentKeys $keys,
    string $site,
    string $policyVersion,
    string $name = '__Host-consent',
    ?float $now = null,
): ?array {
    $tokens = [];
    foreach (explode(';', $cookieHeader) as $pair) {
        [$key, $value] = array_pad(explode('=', $pair, 2), 2, '');
        if (trim($key, " \t") === $name) {
            $tokens[trim($value, " \t")] = true;
        }
    }
    if (count($tokens) !== 1) {
        return null; // of several none is certain
    }
    $token = (string) array_key_first($tokens);
    if (strlen($token) > CONSENT_MAX_LENGTH || !preg_match(CONSENT_SHAPE, $token)) {
        return null;
    }
    [$head, $body, $signature] = explode('.', $token);
    $header = json_decode((string) consent_decoded($head), true);
    if (!is_array($header) || ($header['alg'] ?? '') !== 'EdDSA' || isset($header['crit'])) {
        return null;
    }
    if (!is_string($header['kid'] ?? null)) {
        return null;
    }
    $key = $keys->find($header['kid']);
    if ($key === null || strlen($key) !== SODIUM_CRYPTO_SIGN_PUBLICKEYBYTES) {
        return null;
    }
    $bytes = (string) consent_decoded($signature);
    if (strlen($bytes) !== SODIUM_CRYPTO_SIGN_BYTES) {
        return null;
    }
    if (!sodium_crypto_sign_verify_detached($bytes, "$head.$body", $key)) {
        return null;
    }
    return consent_claims(json_decode((string) consent_decoded($body)), $site, $policyVersion, $now ?? microtime(true));
}

function consent_claims(mixed $claims, string $site, string $policyVersion, float $now): ?array
{
    if (!is_object($claims)) {
        return null;
    }
    [$madeAt, $expiresAt, $categories] = [$claims->iat ?? null, $claims->exp ?? null, $claims->c ?? null];
    $vendors = $claims->v ?? new stdClass();
    if (!is_int($madeAt) || !is_int($expiresAt) || isset($claims->once)) {
        return null;
    }
    if (($claims->iss ?? null) !== $site || ($claims->pv ?? null) !== $policyVersion) {
        return null;
    }
    if (!is_string($claims->rid ?? null) || $madeAt - CONSENT_CLOCK_SKEW > $now || $now >= $expiresAt) {
        return null;
    }
    if (!is_array($categories) || array_filter($categories, 'is_string') !== $categories || !is_object($vendors)) {
        return null;
    }
    sort($categories);
    return [
        'categories' => $categories,
        'vendors' => array_map(fn ($yes) => $yes === 1, get_object_vars($vendors)),
        'gpc' => ($claims->gpc ?? 0) === 1,
        'receipt' => $claims->rid,
    ];
}

/** Whether a choice allows a vendor of a category. $gpc: the request says `Sec-GPC: 1`. */
function consent_allows(?array $choice, string $category, string $vendor = '', bool $gpc = false): bool
{
    if ($choice === null) {
        return false;
    }
    if ($gpc && in_array($category, ['advertising', 'social'], true) && !$choice['gpc']) {
        return false;
    }
    return $choice['vendors'][$vendor] ?? in_array($category, $choice['categories'], true);
}

function consent_decoded(string $text): ?string
{
    $bytes = base64_decode(strtr($text, '-_', '+/'), true);
    return $bytes === false ? null : $bytes;
}

// `php choice.php JWKS SITE POLICY_VERSION [MAX_AGE]`: JSON lines in ({"cookie", "name", "now"}), each
// answered by the choice or null.
if (PHP_SAPI === 'cli' && realpath($argv[0] ?? '') === __FILE__) {
    if ($argc < 4 || $argc > 5) {
        fwrite(STDERR, "usage: php choice.php JWKS SITE POLICY_VERSION [MAX_AGE]\n");
        exit(2);
    }
    [, $jwks, $site, $version] = $argv;
    $stored = tempnam(sys_get_temp_dir(), 'consent-keys-');
    $keys = new ConsentKeys($jwks, maxAge: (float) ($argv[4] ?? 60), file: $stored);
    while (($line = fgets(STDIN)) !== false) {
        $asked = json_decode($line, true);
        $found = consent_choice(
            $asked['cookie'], $keys, $site, $version, $asked['name'] ?? '__Host-consent', $asked['now'] ?? null,
        );
        if ($found !== null) {
            $found['vendors'] = (object) $found['vendors'];
        }
        echo json_encode($found), "\n";
    }
    unlink($stored);
}

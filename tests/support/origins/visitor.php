<?php
// An origin on Apache and PHP: PATH_INFO says what is asked for, the cookie for whom.
$who = preg_match('/^[a-z]+$/', $_COOKIE['sid'] ?? '') ? $_COOKIE['sid'] : 'nobody';
$folder = getenv('ORIGIN_FOLDER');
switch ($_SERVER['PATH_INFO'] ?? '') {
    case '/me':
        header('Content-Type: application/json');
        echo json_encode(['owner' => $who]);
        break;
    case '/session':
        session_start();
        header('Content-Type: application/json');
        echo json_encode(['owner' => $who]);
        break;
    case '/send.pdf':
        $file = "$folder/$who/statement.pdf";
        header('Content-Type: application/pdf');
        header('Last-Modified: ' . gmdate('D, d M Y H:i:s', filemtime($file)) . ' GMT');
        readfile($file);
        break;
    default:
        echo "<!doctype html><title>$who</title><p>owner $who";
}
